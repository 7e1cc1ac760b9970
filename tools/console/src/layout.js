// Where nodes lie, and which way arrows go: the callers to the left of what they call, the clusters one below the other. The same mesh always
// has the same picture. Pure: it knows nothing of the page.

export const node = { width: 136, height: 42 };
const lane = 112, pitch = node.width + lane, gap = 20, thin = 14, header = 62, between = 74, most = 8;
// Between two nodes, a node and an arrow that passes its column, and two such arrows.
const spacing = (a, b) => a.isPass && b.isPass ? thin : a.isPass || b.isPass ? node.height / 2 + thin : node.height + gap;

/** How many calls away from the first callers, at most as far as there are columns. */
function layers(items, edges, columns) {
  const depth = new Map(items.map(item => [item.id, 0]));
  for (let round = 0, changed = true; changed && round < columns; round++) {
    changed = false;
    for (const { source, target } of edges)
      if (depth.get(target) <= depth.get(source) && depth.get(source) < columns - 1) {
        depth.set(target, depth.get(source) + 1);
        changed = true;
      }
  }
  // Layers that nothing is in take no room.
  const used = [...new Set(depth.values())].sort((a, b) => a - b);
  return new Map([...depth].map(([id, layer]) => [id, used.indexOf(layer)]));
}

/** An arrow that passes columns has a place in each of them, so that no node is there; with very many arrows, they are straight. */
function passes(edges, at, isSimple) {
  const ways = new Map(), all = [];
  for (const edge of edges) {
    const [from, to] = [at.get(edge.source), at.get(edge.target)], step = Math.sign(to.column - from.column), way = [];
    for (let column = from.column + step; !isSimple && step !== 0 && column !== to.column; column += step) {
      // It changes the cluster on the last piece of its way.
      const pass = { id: `${edge.id} ${column}`, column, band: from.band, isPass: true, y: 0, order: 0, neighbors: [] };
      way.push(pass);
      all.push(pass);
    }
    ways.set(edge.id, way);
    const line = [from, ...way, to];
    for (let i = 1; i < line.length; i++) {
      line[i - 1].neighbors.push(line[i]);
      line[i].neighbors.push(line[i - 1]);
    }
  }
  return { ways, all };
}

const mean = numbers => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;

/** Moves items to where their neighbors are, as far as their order and their distances allow. */
function settle(column, wanted) {
  // Items that would overlap are moved as one block.
  const blocks = [];
  let before;
  for (const item of column) {
    const distance = before && before.band === item.band ? spacing(before, item) : 0;
    const block = { band: item.band, items: [{ item, offset: 0 }], wish: wanted(item), size: 0 };
    blocks.push(block);
    block.distance = distance;
    while (blocks.length > 1) {
      const [upper, lower] = blocks.slice(-2);
      if (upper.band !== lower.band || upper.wish + upper.size + lower.distance <= lower.wish) break;
      const shift = upper.size + lower.distance;
      upper.items.push(...lower.items.map(one => ({ item: one.item, offset: one.offset + shift })));
      upper.size = shift + lower.size;
      upper.wish = mean(upper.items.map(one => wanted(one.item) - one.offset));
      blocks.pop();
    }
    before = item;
  }
  for (const block of blocks) for (const { item, offset } of block.items) item.y = block.wish + offset;
}

/** Items of one band and column from the top down, so that few arrows cross; then their heights. */
function arrange(items, bands) {
  const columns = [...new Set(items.map(item => item.column))].sort((a, b) => a - b)
    .map(column => items.filter(item => item.column === column).sort((a, b) => a.band - b.band || a.order - b.order));
  const number = column => column.forEach((item, i) => { item.order = i; });
  columns.forEach(number);
  for (let round = 0; round < 8; round++)
    for (const column of round % 2 ? [...columns].reverse() : columns) {
      const weight = new Map(column.map(item => {
        const other = item.neighbors.filter(one => one.column !== item.column);
        return [item, other.length > 0 ? mean(other.map(one => one.band * 1000 + one.order)) : item.band * 1000 + item.order];
      }));
      column.sort((a, b) => a.band - b.band || weight.get(a) - weight.get(b) || a.order - b.order);
      number(column);
    }
  for (const column of columns) settle(column, () => 0);
  for (let round = 0; round < 6; round++)
    for (const column of round % 2 ? [...columns].reverse() : columns)
      settle(column, item => {
        const near = item.neighbors.filter(one => one.band === item.band && one.column !== item.column);
        return near.length > 0 ? mean(near.map(one => one.y)) : item.y;
      });
  // Each band begins below the one before.
  let top = 0;
  const tops = [];
  for (let band = 0; band < bands; band++) {
    const own = items.filter(item => item.band === band);
    const [highest, lowest] = own.length > 0 ? [Math.min(...own.map(item => item.y)), Math.max(...own.map(item => item.y))] : [0, 0];
    tops.push(top);
    for (const item of own) item.y += top + header - highest;
    top += header + lowest - highest + node.height + between;
  }
  return { tops, height: top - between };
}

/** The ends of arrows at one side of a node are next to each other, in the order of where they lead. */
function ends(edges, at, ways) {
  const sides = new Map();
  const end = (edge, which, item, next, other) => {
    // Arrows between nodes of one column go around on their right.
    const right = other.column === item.column || next.column > item.column;
    const key = `${item.id} ${right}`;
    if (!sides.has(key)) sides.set(key, { right, list: [] });
    sides.get(key).list.push({ edge, which, y: next.y });
  };
  for (const edge of edges) {
    const [from, to] = [at.get(edge.source), at.get(edge.target)], way = ways.get(edge.id);
    end(edge, 'from', from, way[0] ?? to, to);
    end(edge, 'to', to, way.at(-1) ?? from, from);
  }
  const found = new Map(edges.map(edge => [edge.id, {}]));
  for (const { right, list } of sides.values()) {
    list.sort((a, b) => a.y - b.y || a.edge.id.localeCompare(b.edge.id));
    const step = Math.min(9, (node.height - 10) / list.length);
    list.forEach(({ edge, which }, i) => { found.get(edge.id)[which] = { x: (right ? 1 : -1) * node.width / 2, y: (i - (list.length - 1) / 2) * step }; });
  }
  return found;
}

/** The corners of an arrow's way, without its ends. */
function corners(way, from, to, start, turn) {
  if (from.column === to.column) {
    const x = start.x + 22 + turn % 4 * 7;
    return [{ x, y: start.y }, { x, y: to.y }];
  }
  return way.flatMap(pass => {
    const x = pass.column * pitch, half = Math.sign(to.column - from.column) * node.width / 2;
    return [{ x: x - half, y: pass.y }, { x: x + half, y: pass.y }];
  });
}

function arranged(model, columns) {
  const bands = model.boxes.length;
  const bandOf = new Map(model.boxes.map((box, i) => [box, i]));
  const edges = model.edges.filter(edge => edge.source !== edge.target);
  const layer = layers(model.nodes, edges, columns);
  const items = [...model.nodes].sort((a, b) => a.name.localeCompare(b.name) || a.id.localeCompare(b.id))
    .map((one, order) => ({ id: one.id, band: bandOf.get(one.box), column: layer.get(one.id), order, y: 0, neighbors: [] }));
  const at = new Map(items.map(item => [item.id, item]));
  const { ways, all } = passes(edges, at, model.isSimple);
  const { tops, height } = arrange([...items, ...all], bands);
  const places = new Map(items.map(item => [item.id, { x: item.column * pitch, y: item.y }]));
  const found = ends(edges, at, ways);
  const routes = new Map((model.isSimple ? [] : edges).map((edge, i) => {
    const [from, to, { from: out, to: into }] = [at.get(edge.source), at.get(edge.target), found.get(edge.id)];
    const start = { x: from.column * pitch + out.x, y: from.y + out.y }, stop = { x: to.column * pitch + into.x, y: to.y + into.y };
    const points = corners(ways.get(edge.id), from, to, start, i).map((point, k, list) => from.column === to.column && k === list.length - 1 ? { x: point.x, y: stop.y } : point);
    return [edge.id, { out, into, points: [start, ...points, stop] }];
  }));
  for (const box of model.boxes)
    (model.above.get(box) ?? []).forEach((id, i) => places.set(id, { x: i * pitch, y: tops[bandOf.get(box)] }));
  const width = Math.max(0, ...[...places.values()].map(place => place.x)) + node.width;
  return { places, routes, width, height: height + node.height, columns };
}

/**
 * @param model boxes: the clusters; nodes: { id, box, name }; above: what is at the top of each box; edges: { id, source, target }.
 * @param room how wide and how high the picture may be, and the scale up to which larger is better.
 */
export function layout(model, room) {
  const scale = one => Math.min(room.width / one.width, room.height / one.height, room.scale);
  let best;
  for (let columns = most; columns >= 2; columns--) {
    const one = arranged(model, columns);
    if (!best || scale(one) > scale(best) * 1.02) best = one;
  }
  return best;
}
