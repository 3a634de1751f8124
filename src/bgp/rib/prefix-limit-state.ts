/** What an UPDATE did to the prefix limit of its peer, as the speaker is told it. */

export interface PrefixLimitState {
  /** Prefixes were refused because of the limit. It ends the session, so nothing else is said. */
  readonly exceeded: boolean;
  /** Paths were refused otherwise: of a prefix, or of all, there were too many. */
  readonly crowded: boolean;
  /** The limit is nearly reached, and was not so before. */
  readonly warning: boolean;
}

/** One object for each answer: there is one of them for each UPDATE. */
export const PREFIX_LIMIT = {
  ok: { exceeded: false, crowded: false, warning: false },
  warning: { exceeded: false, crowded: false, warning: true },
  crowded: { exceeded: false, crowded: true, warning: false },
  crowdedWarning: { exceeded: false, crowded: true, warning: true },
  exceeded: { exceeded: true, crowded: false, warning: false },
} as const satisfies Record<string, PrefixLimitState>;
