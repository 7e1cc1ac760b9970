namespace Isthmus.Tests.Mesh.Faults;

/// <summary>Who calls what under load, the same in every cluster. Each workload that answers reports its version.</summary>
/// <param name="Caller">The calling workload, as kubectl names it.</param>
/// <param name="Host">The Service, in the caller's namespace.</param>
internal sealed record CallPath(string Namespace, string Caller, string Container, string Host)
{
    internal static readonly CallPath Quickstart = new("sample", "deploy/sleep", "sleep", "helloworld");

    internal string Url => $"{Host}:5000/hello";

    internal string FullHost => $"{Host}.{Namespace}.svc.cluster.local";
}

/// <summary>Where a control plane runs.</summary>
internal sealed record ControlPlanePlace(string Cluster, string Namespace = "istio-system")
{
    /// <summary>The options that select this control plane in a command.</summary>
    internal string[] Options => [$"--context={Cluster}", $"--istioNamespace={Namespace}"];

    public override string ToString() => Namespace == "istio-system" ? Cluster : $"{Cluster}/{Namespace}";
}
