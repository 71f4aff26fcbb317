/** Bits of GPUBufferUsage, by the WebGPU specification: Node has no such global. */
export const BUFFER_USAGE = {
  mapRead: 0x0001,
  mapWrite: 0x0002,
  copySource: 0x0004,
  copyTarget: 0x0008,
  uniform: 0x0040,
  storage: 0x0080,
} as const;

/** Bits of GPUMapMode. */
export const MAP_MODE = { read: 1, write: 2 } as const;
