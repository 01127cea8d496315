/** Steps that can be taken back: each pushes its undo, and a failure unwinds them, the last one first. */

export type Undo = () => void | Promise<void>

export class UndoStack {
  readonly #undos: Undo[] = []

  /** `undefined` stands for a step that changed nothing. */
  push(undo: Undo | undefined): void {
    if (undo !== undefined) this.#undos.push(undo)
  }

  /** Takes everything back. An undo that fails is reported and keeps none of the others from running. */
  async unwind(report: (error: unknown) => void): Promise<void> {
    for (let undo = this.#undos.pop(); undo !== undefined; undo = this.#undos.pop()) {
      try {
        await undo()
      } catch (error) {
        report(error)
      }
    }
  }
}
