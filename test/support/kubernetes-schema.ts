/**
 * Strict JSON schemas of Kubernetes objects, from the models in @kubernetes/client-node, which are
 * generated from the API's own OpenAPI document: field names and types from each model's attribute
 * map, required fields from its type declaration. A field that the API does not have fails, as
 * `kubectl apply --validate=strict` fails.
 *
 * The models have no values of closed lists; those of the fields that manifests use stand below.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Ajv, type ValidateFunction } from "ajv";

const MODELS = join(
  import.meta.dirname,
  "..",
  "..",
  "node_modules/@kubernetes/client-node/dist/gen/models",
);

type Schema = Readonly<Record<string, unknown>>;

interface Attribute {
  readonly baseName: string;
  readonly type: string;
  readonly format: string;
}

/** `Model.field` → allowed values, from the API reference. */
const CLOSED_LISTS: Readonly<Record<string, readonly string[]>> = {
  "V1Container.imagePullPolicy": ["Always", "IfNotPresent", "Never"],
  "V1DaemonSetUpdateStrategy.type": ["RollingUpdate", "OnDelete"],
  "V1HostPathVolumeSource.type": [
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
  ],
  "V1HTTPGetAction.scheme": ["HTTP", "HTTPS"],
  "V1PodSpec.dnsPolicy": ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"],
  "V1PodSpec.restartPolicy": ["Always", "Never", "OnFailure"],
  "V1SeccompProfile.type": ["Localhost", "RuntimeDefault", "Unconfined"],
  "V1Toleration.effect": ["NoExecute", "NoSchedule", "PreferNoSchedule"],
  "V1Toleration.operator": ["Exists", "Equal"],
};

const SCALARS: Readonly<Record<string, Schema>> = {
  string: { type: "string" },
  boolean: { type: "boolean" },
  number: { type: "number" },
  Date: { type: "string" },
  any: {},
  object: { type: "object" },
  IntOrString: { type: ["integer", "string"] },
};

/** A validator for objects of one model, `V1DaemonSet`. */
export async function kubernetesValidator(model: string): Promise<ValidateFunction> {
  const definitions: Record<string, Schema> = {};
  await define(model, definitions);
  const ajv = new Ajv({ allErrors: true, allowUnionTypes: true });
  return ajv.compile({ $ref: `#/definitions/${model}`, definitions });
}

async function define(model: string, definitions: Record<string, Schema>): Promise<void> {
  if (definitions[model] !== undefined) return;
  definitions[model] = {};
  const file = join(MODELS, `${model}.js`);
  const module = (await import(pathToFileURL(file).href)) as Record<
    string,
    { getAttributeTypeMap(): readonly Attribute[] }
  >;
  const properties: Record<string, Schema> = {};
  for (const attribute of module[model]!.getAttributeTypeMap()) {
    const values = CLOSED_LISTS[`${model}.${attribute.baseName}`];
    properties[attribute.baseName] =
      values === undefined
        ? await schemaOf(attribute.type, attribute.format, definitions)
        : { enum: values };
  }
  definitions[model] = {
    type: "object",
    additionalProperties: false,
    properties,
    required: requiredFields(model),
  };
}

async function schemaOf(
  type: string,
  format: string,
  definitions: Record<string, Schema>,
): Promise<Schema> {
  if (type === "number" && format.startsWith("int")) return { type: "integer" };
  const scalar = SCALARS[type];
  if (scalar !== undefined) return scalar;
  const list = /^(?:Array|Set)<(.+)>$/.exec(type);
  if (list !== null) return { type: "array", items: await schemaOf(list[1]!, "", definitions) };
  const map = /^\{ \[key: string\]: (.+?);? \}$/.exec(type);
  if (map !== null) {
    return { type: "object", additionalProperties: await schemaOf(map[1]!, "", definitions) };
  }
  await define(type, definitions);
  return { $ref: `#/definitions/${type}` };
}

/** Fields declared without `?`. */
function requiredFields(model: string): string[] {
  const text = readFileSync(join(MODELS, `${model}.d.ts`), "utf8");
  return [...text.matchAll(/^ {4}'(\w+)': /gm)].map((match) => match[1]!);
}
