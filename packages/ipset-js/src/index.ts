/** Public face of ipset-js. */
export { formatEntry, type SetEntry } from "./entry.ts";
export { IpsetErrno, IpsetError, type IpsetErrorDetail } from "./errors.ts";
export {
  type ChangeOptions,
  type EntryFailure,
  type ExistOptions,
  IpSets,
  type IpSetsOptions,
  type ListedSet,
} from "./ip-sets.ts";
export { formatHeader, type SetHeader, type SetSpec, type SetType } from "./set-header.ts";
