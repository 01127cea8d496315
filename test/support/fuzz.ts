/** How often a property is tried: as a test says, or many times as often in `make fuzz` (FUZZ=50). */
export const runs = (usual: number): number => usual * Number(process.env.FUZZ ?? 1)
