using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Nodes.Env;

/// <summary>What the downward API can expose: the Pod, its addresses, and the capacity of the node.</summary>
/// <param name="PodIp">Empty until the sandbox has one.</param>
internal sealed record PodFacts(Pod Pod, string PodIp, string HostIp, NodeCapacity Capacity);

/// <summary>What a container without limits may use.</summary>
/// <param name="Cpus">Cores.</param>
/// <param name="MemoryBytes">Bytes of memory.</param>
internal sealed record NodeCapacity(decimal Cpus, long MemoryBytes);
