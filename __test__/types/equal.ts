/** Whether two types are the same: neither wider nor narrower, and not `any`. */
export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** Fails to compile unless it is given `true`. */
export function expect<T extends true>(): T | void {}
