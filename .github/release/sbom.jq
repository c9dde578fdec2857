# The answer of `cargo metadata` as CycloneDX. Used by sbom.

# What is reachable from the input by these edges, as an object with a key for each.
def reachable($edges):
  {seen: {}, todo: [.]}
  | until(.todo == [];
      .todo[0] as $id
      | .todo |= .[1:]
      | if .seen[$id] then . else .seen[$id] = true | .todo += $edges[$id] end)
  | .seen;

def purl: "pkg:cargo/\(.name)@\(.version)";

(.packages | map({key: .id, value: .}) | from_entries) as $packages
| (.resolve.nodes
  | map({key: .id, value: [.deps[] | select(any(.dep_kinds[]; .kind == null)) | .pkg]})
  | from_entries) as $edges
| ([$lock | scan("name = \"([^\"]+)\"\nversion = \"([^\"]+)\"\nsource = \"[^\"]+\"\nchecksum = \"([0-9a-f]{64})\"")]
  | map({key: "\(.[0])@\(.[1])", value: .[2]}) | from_entries) as $sums
| first(.packages[] | select(.name == "holdfast")) as $root
| ($root.id | reachable($edges) | keys) as $all
| {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      timestamp: ($epoch | tonumber | todate),
      component: {
        type: "application",
        "bom-ref": ($root | purl),
        name: $root.name,
        version: $root.version,
        purl: ($root | purl),
        licenses: [{expression: $root.license}],
        properties: [{name: "target", value: $target}]
      }
    },
    components: [
      $all[] | select(. != $root.id) | $packages[.]
      | {
          type: "library",
          "bom-ref": purl,
          name,
          version,
          purl: purl,
          licenses: (if .license then [{expression: (.license | gsub("/"; " OR "))}] else [] end),
          hashes: ($sums["\(.name)@\(.version)"] | if . then [{alg: "SHA-256", content: .}] else [] end)
        }
    ],
    dependencies: [$all[] | {ref: ($packages[.] | purl), dependsOn: ([$edges[.][] | $packages[.] | purl] | unique)}]
  }
