using System.Diagnostics;
using Isthmus.Kubernetes.Client;
using Isthmus.Testing;
using Isthmus.Tests.Commands;
using Isthmus.Tests.LoopbackMesh;
using Xunit;

namespace Isthmus.Tests.IstioMesh;

/// <summary>A mesh of clusters that is Istio's alone.</summary>
public abstract class IstioMeshRig : IAsyncLifetime
{
    internal const string Istiod = "istiod-7c9d-a1", Web = "web-5d9-w1", Sleep = "sleep-8b4-s1", Gateway = "istio-ingressgateway-6f5-g1";

    private readonly string _folder = Directory.CreateTempSubdirectory("isthmus-istio-mesh-").FullName;
    private readonly LoopbackRange _range = LoopbackRange.Reserve();
    private readonly TestCa _ca = new("cluster.local");

    /// <param name="releases">The release of each cluster.</param>
    private protected IstioMeshRig(params IstioRelease[] releases) =>
        Clusters = [.. releases.Select((release, at) => new IstioCluster($"cluster{at + 1}", release, _ca, _range, at + 1, _folder))];

    internal IReadOnlyList<IstioCluster> Clusters { get; }

    internal ClusterAccess Access => KubeConfig.Load(Kubeconfig, "cluster1", _ => null);

    /// <summary>Whether no test has a use for the mesh without Envoys, so that it starts with them only.</summary>
    private protected virtual bool IsForEnvoysOnly => true;

    private string Kubeconfig => Path.Combine(_folder, "kubeconfig");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        if (IsForEnvoysOnly && RealEnvoy.Find() is null) return;
        await Task.WhenAll(Clusters.Select(cluster => cluster.StartAsync(Clusters)));
        var entries = await Task.WhenAll(Clusters.Select(cluster => cluster.DescribeAsync()));
        await File.WriteAllTextAsync(Kubeconfig, $"""
            apiVersion: v1
            kind: Config
            current-context: cluster1
            clusters: [{string.Join(", ", entries.Select(entry => entry.Cluster))}]
            users: [{string.Join(", ", entries.Select(entry => entry.User))}]
            contexts: [{string.Join(", ", entries.Select(entry => entry.Context))}]
            """, Stop);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var cluster in Clusters) await cluster.DisposeAsync();
        _range.Dispose();
        _ca.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>Runs a command as a user does.</summary>
    internal Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] line) =>
        StartedProgram.RunAsync(line, Stop, ("KUBECONFIG", Kubeconfig));

    /// <summary>How a command is started that runs until it is ended.</summary>
    internal ProcessStartInfo Started(params string[] line)
    {
        var start = StartedProgram.Start(line, ("KUBECONFIG", Kubeconfig));
        start.RedirectStandardOutput = start.RedirectStandardError = true;
        return start;
    }
}

/// <summary>One cluster with the newest release.</summary>
public sealed class IstioMesh() : IstioMeshRig(IstioRelease.Newest)
{
    private protected override bool IsForEnvoysOnly => false;
}

/// <summary>One cluster with the oldest release whose meshes the commands read.</summary>
public sealed class OldIstioMesh() : IstioMeshRig(IstioRelease.Oldest);

/// <summary>Two clusters, of which one is upgraded.</summary>
public sealed class TwoIstioClusters() : IstioMeshRig(IstioRelease.Native, IstioRelease.Oldest);
