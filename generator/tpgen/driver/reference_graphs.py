"""How nodes make a graph: the part of `docs/operators.md` that is no list of declarations."""

GRAPHS = """\
`next` names the nodes that a node's items go on to. A node without one is a *leaf*; a node that nobody
names is a *root*. Each item goes its own way, whatever the others of its batch do.

### Branches and leaves

With several names in `next`, each follower gets its own copy of the item, all keys included; what one
branch writes another does not see.

```toml
[decode]
backend = "DecodeMat"
next = "small, wide"

[small]
backend = "ResizeMat(resize_h=32,resize_w=32)"

[wide]
backend = "ResizeMat(resize_h=32,resize_w=128)"
```

One leaf answers with its keys (`result` ...), several with `<leaf>.<key>`: `small.result` and
`wide.result`. An item that fails in one branch fails as a whole, and is stopped in the others.

### Joins: `map`

A node behind several others begins when they are done, and its `map` makes the new item:
`node[key:new key, ...]`, separated by commas. What it does not name does not go on. One of the new keys is
`data`, or all inputs of a model are named. Keys may come from any node before this one, near or far, and a
node with a single predecessor may have a `map` as well (`[result:data]` then means that one). A key that no
node writes comes from the client: if no operator reads it either, declare it in `[pipeline.inputs]`. With
`next = "both"` in `small` and `wide`:

```toml
[decode]
backend = "DecodeMat"
next = "small, wide"

[small]
backend = "ResizeMat(resize_h=32,resize_w=32)"
next = "both"

[wide]
backend = "ResizeMat(resize_h=32,resize_w=128)"
next = "both"

[both]
map = "small[result:data], wide[result:wide], decode[result:image]"
backend = "ResizeMat(resize_h=16,resize_w=16)"
```

An item that lacks one of the keys ends there, as by `Break`.

### What is left out

A filter (the table below) lets a node run for an item, or says how much of the graph the item passes by:

| | the item goes on |
|---|---|
| Skip | behind this node, as it is |
| SerialSkip | behind the chain that begins here, which ends where ways part or meet |
| SubGraphSkip | behind all nodes that are reached only through this one |
| Break | nowhere: it is answered at once, with the keys that it has, for all leaves that this node leads to |
| Error | nowhere: its request fails, with this node's name |

A node behind another one has the filter `swap`: `result` becomes `data`, and an item without a `result`
ends. `filter = "filter"` takes the decision from the item's own key `filter`, which an operator of yours
has written ([early_exit](../model_repos/early_exit)). A key that an item may end without is declared with a
companion `<key>_valid`; that it is false is no failure.

### Where ways meet

Behind an `or`, a skip or a sub-graph with several callers, a key may hold images in RGB and CHW for some
items and in BGR and HWC for others. The type says so (`uint8[H,W,3] HWC|CHW bgr|rgb`), and who needs one of
them gets each image as it needs it: operators on matrices HWC, those on tensors CHW, colour operators and
models their colour order, user code what it declares ([fallback](../model_repos/fallback)). What does not
vary is never converted, and a wrong order stays an error. Where dtype, rank or kind differ, nothing but
code without types can read the key (TP311).

### Sub-graphs

A component that only a `jump` names is a sub-graph: one root, one leaf, and no client calls it. `MapReduce`
runs it on each element of the list `split`; the keys `merge` at its end become lists, in the order of
`split`. `Jump` runs it on the item itself.

```toml
[pipeline.inputs]
data = "[uint8[H,W,3] bgr]"

[each]
backend = "MapReduce"
jump = "one"

[one]
backend = "ResizeMat(resize_h=32,resize_w=32)"
next = "rgb"

[rgb]
backend = "cvtColorMat(color=rgb)"
```

An element has all keys of its item, with itself in place of the list. The elements of all items of a
dynamic batch go through the sub-graph together: models in it get full batches, in calls of at most their
`max`. A list without elements makes no call and gives empty lists. An element that fails fails its item:
`[each] element 7: ...`. Where an element may end without a key of `merge`, `drop_absent = true` leaves it
out of all lists. Sub-graphs may run others, in no circle.

### Loops

With `entrypoint = "Restart[DagDispatcher]"` above the first node (or `Interpreter::backend = "Ring"`, or
`"EventLoop"`), an item that ends with the key `restart` does not end: it goes on at the node that the key
names, with all of its keys but this one. Here items whose `target` is `twice` pass `step` twice:

```toml
entrypoint = "Restart[DagDispatcher]"

[pipeline]
max_restarts = 10

[shrink]
backend = "Sequential[DecodeMat,ResizeMat(resize_h=64,resize_w=64)]"
next = "step"

[step]
backend = "ResizeMat(resize_h=32,resize_w=32)"
next = "again"

[again]
backend = "Sequential[Remove[target],Add[restart:step]]"
filter = "Target"
target = "twice"
```

`filter` decides which items go on; usually it is a function of yours that returns `Swap` or `Skip`. The node
that is named takes over nothing: its `data` is what `data` is at the end (above, the result of `step`, which
the filter has swapped), unless a `filter = "swap"` is written at it. A `map` at it is left out.

Items that are done are answered at once; those that go on do so together, in batches. One that wants to go on
more than `max_restarts` times (100) fails. Which nodes may be named is known when the pipeline is compiled:
those in `Add[restart:...]`, and where other operators write the key (as a text; None, from a class of
TorchPipe's style, is no restart) those of `[pipeline] restarts`, by default the first node. Another name fails
its item. The types of the keys have to hold for every round. Without such an engine `restart` is a key like others.

### One node at several places

`[reader.2]` is the node `reader` at another place of the graph. It has all of its keys; those that it
writes (`map`, `next`, `filter` ...) are its own. `borrow_from = "reader"` does the same under a name of its
own, for what the node computes, and not for `next`, `map` and `filter`. Both share the instances, and a
model is loaded once.

### Several entries

Each component with a root that no `jump` names is an entry: a model `<name>.<root>` if there are several.
Two roots may not join: a request enters at one of them.

`[pipeline] entries` adds nodes inside a graph, or sub-graphs: `entries = ["crop"]` gives one more model,
`<name>.crop`, that begins with this node, and renames no other. What the node took over from the one before
it, by a swap or its `map`, are inputs of the model. An image needs a type; that of a single entry is declared
with the node in front:

```toml
[pipeline]
entries = ["crop"]

[pipeline.inputs]
crop.data = "uint8[H,W,3] bgr"

[decode]
backend = "DecodeMat"
next = "crop"

[crop]
backend = "ResizeMat(resize_h=32,resize_w=32)"
```

Maps behind the node may only take keys from nodes that run. Of `[pipeline] outputs`, an added entry answers
those that it has. `tpgen run --entry`, `tpgen.pipe(..., entry=)` and `tpgen verify --entry` choose one.
"""
