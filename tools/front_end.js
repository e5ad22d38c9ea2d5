// What tools/front_end.py and front_end_view.py ask the page; it has this as `ldu` before any script of its own runs.

window.ldu = {
  ready() {
    const registered = window.LiteGraph?.registered_node_types ?? {};
    return "LDU_TrainRho" in registered && !!window.app?.extensionManager?.workflow?.activeWorkflow;
  },

  inSight(selector) {
    return [...document.querySelectorAll(selector)].filter((element) => element.checkVisibility());
  },

  loaded(picture) {
    return picture.complete && picture.naturalWidth > 0;
  },

  // Of the graph that one looks at, which may be a subgraph.
  nodes() {
    return app.canvas.graph._nodes.map((node) => ({
      id: node.id,
      type: node.type,
      title: node.title,
      box: Array.from(node.getBounding()),
      red: !!node.has_errors,
      known: !!node.isSubgraphNode?.() || node.type in LiteGraph.registered_node_types,
      pictures: (node.imgs ?? []).filter(this.loaded).length,
    }));
  },

  // The boxes of all groups, and in a subgraph of what stands for its inputs and outputs.
  frames() {
    const { inputNode, outputNode } = app.canvas.graph;
    const ends = [inputNode, outputNode].filter(Boolean).map((end) => Array.from(end.boundingRect));
    return [...this.groups(), ...ends];
  },

  groups() {
    return app.canvas.graph._groups.map((group) => [...group.pos, ...group.size]);
  },

  // True when nothing has changed since the last question.
  settled() {
    const before = this.seen;
    this.seen = JSON.stringify([this.nodes(), Array.from(app.canvas.ds.offset), app.canvas.ds.scale]);
    return this.seen === before;
  },

  opened(name) {
    const active = app.extensionManager.workflow.activeWorkflow.filename;
    return active.replace(/ \(\d+\)$/, "") === name && app.graph._nodes.length > 0;
  },

  inside() {
    return !!app.canvas.subgraph && app.canvas.graph === app.canvas.subgraph;
  },

  openInside() {
    const [node] = app.graph._nodes;
    app.canvas.openSubgraph(node.subgraph, node);
  },

  placeNode(type) {
    app.graph.clear();
    const node = LiteGraph.createNode(type);
    node.pos = [300, 150]; // beside the front end's own bars
    app.graph.add(node);
    app.canvas.ds.reset();
    app.canvas.selectNode(node);
  },

  // What the only node says of itself: its title, its sockets and its widgets.
  labels() {
    const [node] = app.graph._nodes;
    const slots = [...node.inputs, ...node.outputs].filter((slot) => !slot.widget);
    const named = slots.map((slot) => slot.label ?? slot.localized_name ?? slot.name);
    return [node.title, ...named, ...(node.widgets ?? []).map((widget) => widget.label ?? widget.name)];
  },

  // What the first node with a title calls its sockets.
  sockets(title) {
    const node = app.graph._nodes.find((it) => it.title === title);
    return [...node.inputs, ...node.outputs].map((slot) => slot.label ?? slot.localized_name ?? slot.name);
  },

  // The titles of the nodes and groups that one looks at, and the texts of its notes.
  texts() {
    const { _nodes: nodes, _groups: groups } = app.canvas.graph;
    const notes = nodes.filter((node) => node.type === "MarkdownNote").map((note) => note.widgets[0].value);
    return [...nodes, ...groups].map((each) => each.title).concat(notes);
  },

  rename([type, title]) {
    for (const node of app.graph._nodes) if (node.type === type) node.title = title;
  },

  saved() {
    return app.graph.serialize();
  },

  async load(workflow) {
    await app.loadGraphData(workflow);
  },

  // What is said of each widget of the nodes whose type begins so.
  explained(type) {
    const nodes = app.graph._nodes.filter((node) => node.type.startsWith(type));
    const widgets = nodes.flatMap((node) => (node.widgets ?? []).map((widget) => [node, widget]));
    const own = widgets.filter(([, widget]) => widget.name !== "control_after_generate");
    return Object.fromEntries(own.map(([node, widget]) => [`${node.title}: ${widget.name}`, widget.tooltip]));
  },

  // What becomes of the only node's seed after each run.
  seedControl() {
    const [node] = app.graph._nodes;
    return node.widgets.find((widget) => widget.name === "seed").linkedWidgets[0].value;
  },

  setOn([type, name, value]) {
    for (const node of app.graph._nodes) {
      if (node.type !== type) continue;
      for (const widget of node.widgets ?? []) if (widget.name === name) widget.value = value;
    }
  },

  holds([type, name, value]) {
    const widgets = app.graph._nodes.filter((node) => node.type === type).flatMap((node) => node.widgets ?? []);
    return widgets.some((widget) => widget.name === name && widget.value === value);
  },

  // Where in the window a point of the graph is.
  inWindow([x, y]) {
    const { offset, scale } = app.canvas.ds;
    const { left, top } = app.canvas.canvas.getBoundingClientRect();
    return [left + (x + offset[0]) * scale, top + (y + offset[1]) * scale];
  },

  // Where in the window a widget of the first node of a type is.
  spot([type, name]) {
    const node = app.graph._nodes.find((it) => it.type === type);
    const widget = node.widgets.find((it) => it.name === name);
    const middle = widget.y + LiteGraph.NODE_WIDGET_HEIGHT / 2;
    return this.inWindow([node.pos[0] + node.size[0] / 2, node.pos[1] + middle]);
  },

  // True when nodes of all these types have a picture in them, as Nodes 2.0 draws them.
  pictured(types) {
    const shows = (id) => this.inSight(`[data-node-id="${id}"] img`).some(this.loaded);
    return types.every((type) => app.graph._nodes.some((node) => node.type === type && shows(node.id)));
  },

  // The types of the nodes that are marked as having failed, or as having a wrong input.
  blamed() {
    const failed = app.graph._nodes.filter((node) => node.strokeStyles.executionError?.call(node));
    return [...new Set([...failed, ...app.graph._nodes.filter((node) => node.has_errors)].map((node) => node.type))];
  },

  // Which inputs of which nodes the server refused, by the nodes' types.
  refusedInputs() {
    const nodes = Object.values(app.lastNodeErrors ?? {});
    return Object.fromEntries(nodes.map((it) => [it.class_type, it.errors.map((error) => error.extra_info.input_name)]));
  },

  async putErrorsAway() {
    await app.extensionManager.setting.set("Comfy.RightSidePanel.IsOpen", false);
  },

  // What Compare's box shows: its pictures with their true width, and whether each is to be seen.
  compared() {
    const [box] = this.inSight(".ldu-compare");
    const pictures = [...(box?.querySelectorAll("img") ?? [])];
    const [edge, zoom] = [pictures[1]?.style.clipPath, pictures[0]?.parentElement.style.transform];
    const shown = pictures.filter((it) => it.style.display !== "none").map((it) => it.className);
    return { widths: pictures.map((it) => (it.complete ? it.naturalWidth : 0)), shown, edge, zoom };
  },

  // True when so many of Compare's boxes show all their pictures.
  compares(count) {
    const boxes = this.inSight(".ldu-compare");
    return boxes.filter((box) => [...box.querySelectorAll("img")].every(this.loaded)).length === count;
  },

  // True when no picture in sight is still to come.
  drawn() {
    return this.inSight(".ldu-compare img").every(this.loaded);
  },

  // Where in the window the end of a wire goes: a socket of the first node with that title.
  slot([title, side, name]) {
    const node = app.canvas.graph._nodes.find((it) => it.title === title);
    const number = node[`${side}s`].findIndex((it) => [it.name, it.label].includes(name));
    return this.inWindow(side === "input" ? node.getInputPos(number) : node.getOutputPos(number));
  },

  wires() {
    return app.canvas.graph.links.size;
  },

  view() {
    return [...app.canvas.ds.offset, app.canvas.ds.scale];
  },

  // Count the clicks from now on, whoever makes them.
  countClicks() {
    this.clicks = 0;
    document.addEventListener("click", () => this.clicks++, true);
  },

  clicked() {
    return this.clicks;
  },

  // Count how often a hand presses a button of the mouse from now on; what scripts do is not trusted.
  countPresses() {
    this.presses = 0;
    window.addEventListener("pointerdown", (event) => (this.presses += event.isTrusted), true);
  },

  pressed() {
    return this.presses;
  },

  // True when a node of a type has that text on it, in sight or not.
  saying([type, part]) {
    const widgets = app.graph._nodes.filter((node) => node.type === type).flatMap((node) => node.widgets ?? []);
    return widgets.some((widget) => widget.name === "said" && widget.element.textContent.includes(part));
  },

  command(name) {
    return app.extensionManager.command.execute(name);
  },

  set([name, value]) {
    const graphs = [...app.rootGraph.subgraphs.values(), app.rootGraph]; // outside last: it wins over inside
    const widgets = graphs.flatMap((graph) => graph._nodes).flatMap((node) => node.widgets ?? []);
    for (const widget of widgets) if (widget.name === name) widget.value = value;
  },

  // Put the point (x, y) of the graph to (left, top) of the window, and draw.
  async lookAt([x, y, scale, left, top]) {
    const view = app.canvas.ds;
    view.scale = scale;
    view.offset[0] = left / scale - x;
    view.offset[1] = top / scale - y;
    app.canvas.setDirty(true, true);
    for (let frame = 0; frame < 5; frame++) await new Promise(requestAnimationFrame);
  },

  async finished(job) {
    return (await (await fetch(`/history/${job}`)).json())[job];
  },

  // The texts that nodes of a type show, with how many of the text's pixels are out of sight.
  said(type) {
    const widgets = app.graph._nodes.filter((node) => node.type === type).flatMap((node) => node.widgets ?? []);
    const boxes = widgets.filter((widget) => widget.name === "said").map((widget) => widget.element);
    return boxes
      .filter((box) => box.checkVisibility())
      .map((box) => ({ text: box.innerText, hidden: Math.max(0, box.scrollHeight - box.clientHeight) }));
  },
};
