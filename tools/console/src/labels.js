// Where the labels of arrows are: on their arrows or beside them, where no node, no title and no other label is.

// From the middle outwards.
const steps = Array.from({ length: 23 }, (_, i) => 0.5 + (i % 2 ? 1 : -1) * Math.ceil(i / 2) * 0.035);
// On the line, or just above or below it.
const spots = [0, -1, 1].flatMap(beside => steps.map(share => ({ share, beside })));
const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);
const overlap = (a, b) => a.x1 < b.x2 && b.x1 < a.x2 && a.y1 < b.y2 && b.y1 < a.y2;

/** Whether a line from one point to another crosses a box. */
function crosses(from, to, box) {
  let [first, last] = [0, 1];
  for (const [start, way, low, high] of [[from.x, to.x - from.x, box.x1, box.x2], [from.y, to.y - from.y, box.y1, box.y2]]) {
    if (way === 0) {
      if (start < low || start > high) return false;
      continue;
    }
    const [enter, leave] = [(low - start) / way, (high - start) / way].sort((a, b) => a - b);
    [first, last] = [Math.max(first, enter), Math.min(last, leave)];
  }
  return first <= last;
}

/** The point of a line that is so far from its beginning, as a share of its length. */
function along(points, share) {
  const lengths = points.slice(1).map((point, i) => distance(points[i], point));
  let rest = share * lengths.reduce((sum, length) => sum + length, 0);
  for (let i = 0; i < lengths.length; i++) {
    if (rest <= lengths[i]) {
      const part = lengths[i] > 0 ? rest / lengths[i] : 0;
      return { x: points[i].x + (points[i + 1].x - points[i].x) * part, y: points[i].y + (points[i + 1].y - points[i].y) * part };
    }
    rest -= lengths[i];
  }
  return points.at(-1);
}

export class Labels {
  #kept = new Map();

  /**
   * The middle of each label, and whether it is in nobody's way. Labels stay where they were as long as they can.
   * @param lines { id, points, width, height }, those first that need their labels most.
   * @param taken boxes that labels keep off.
   */
  place(lines, taken) {
    const placed = [], found = new Map(), kept = new Map();
    for (const { id, points, width, height } of lines) {
      const box = ({ share, beside }) => {
        const on = along(points, share), middle = { x: on.x, y: on.y + beside * (height / 2 + 3) };
        return { middle, x1: middle.x - width / 2, x2: middle.x + width / 2, y1: middle.y - height / 2, y2: middle.y + height / 2 };
      };
      const before = this.#kept.get(id);
      // Other arrows are drawn over labels, so that fewer of them are better.
      const busy = one => lines.filter(other => other.id !== id && other.points.some((point, i) => i > 0 && crosses(other.points[i - 1], point, one))).length;
      const allowed = (before ? [before, ...spots] : spots).map(at => ({ at, ...box(at) })).filter(one => !taken.some(other => overlap(one, other)));
      const free = allowed.filter(one => !placed.some(other => overlap(one, other)));
      const spot = before && free[0]?.at === before ? free[0] : free.map(one => ({ ...one, busy: busy(one) })).sort((a, b) => a.busy - b.busy || Math.abs(a.at.beside) - Math.abs(b.at.beside))[0];
      if (spot) {
        placed.push(spot);
        kept.set(id, spot.at);
      }
      // Without a place, it is shown only while the arrow is selected.
      found.set(id, { middle: (spot ?? allowed[0] ?? box(spots[0])).middle, isFree: Boolean(spot) });
    }
    this.#kept = kept;
    return found;
  }
}
