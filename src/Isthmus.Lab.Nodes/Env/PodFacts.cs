using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Nodes.Api;

namespace Isthmus.Lab.Nodes.Env;

/// <summary>What the downward API can expose: the Pod, its addresses, and the capacity of the node.</summary>
/// <param name="PodIp">Empty until the sandbox has one.</param>
internal sealed record PodFacts(Pod Pod, string PodIp, string HostIp, NodeCapacity Capacity);
