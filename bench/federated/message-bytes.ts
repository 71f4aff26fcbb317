/**
 * Bytes of a message on the wire: its byte strings, numbers as four bytes, rounds as eight. What a protocol buffer adds is
 * a few bytes a field.
 */
export function messageBytes(value: unknown): number {
  if (value instanceof Uint8Array) return value.length;
  if (typeof value === 'number') return 4;
  if (typeof value === 'bigint') return 8;
  if (typeof value !== 'object' || value === null) return 0;
  return Object.values(value).reduce((sum: number, field) => sum + messageBytes(field), 0);
}
