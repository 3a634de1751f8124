/** Which attributes an UPDATE has; the same memory for one message after another. */
export class SeenAttributes {
  /** How many there are. */
  count = 0;
  /** `stamps[type] === serial`: it is in this message. */
  private readonly stamps = new Uint32Array(256);
  private serial = 0;

  /** The next message, which has none yet. */
  begin(): void {
    this.count = 0;
    this.serial = (this.serial + 1) >>> 0;
    // Once in four thousand million messages the stamps of old ones would come back.
    if (this.serial === 0) {
      this.stamps.fill(0);
      this.serial = 1;
    }
  }

  add(type: number): void {
    this.stamps[type] = this.serial;
    this.count++;
  }

  has(type: number): boolean {
    return this.stamps[type] === this.serial;
  }
}
