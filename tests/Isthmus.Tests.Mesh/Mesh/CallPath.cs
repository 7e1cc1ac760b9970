namespace Isthmus.Tests.Mesh.Mesh;

/// <summary>Who calls what under load, alike in every cluster: each that answers says its version.</summary>
/// <param name="Caller">The workload that calls, as kubectl names it.</param>
/// <param name="Host">The Service, which is in the caller's namespace.</param>
internal sealed record CallPath(string Namespace, string Caller, string Container, string Host)
{
    internal static readonly CallPath Quickstart = new("sample", "deploy/sleep", "sleep", "helloworld");

    internal string Url => $"{Host}:5000/hello";

    internal string FullHost => $"{Host}.{Namespace}.svc.cluster.local";
}

/// <summary>Where a control plane runs.</summary>
internal sealed record ControlPlanePlace(string Cluster, string Namespace = "istio-system")
{
    /// <summary>What a command is told to ask this one.</summary>
    internal string[] Options => [$"--context={Cluster}", $"--istioNamespace={Namespace}"];

    public override string ToString() => Namespace == "istio-system" ? Cluster : $"{Cluster}/{Namespace}";
}
