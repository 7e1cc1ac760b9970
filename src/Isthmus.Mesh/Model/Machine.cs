namespace Isthmus.Mesh.Model;

/// <summary>A workload outside of Kubernetes: what a WorkloadEntry says about the proxy that runs there.</summary>
public sealed record Machine(AccountKey Account, string Name, string Address, Core.Collections.ValueMap<string> Labels);
