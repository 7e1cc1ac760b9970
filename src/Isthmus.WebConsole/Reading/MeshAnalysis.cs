using Isthmus.Explain.Tracing;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;

namespace Isthmus.WebConsole.Reading;

/// <summary>Analyzes the objects of all clusters, and does so again only after one of them changed, or an hour.</summary>
internal sealed class MeshAnalysis(IReadOnlyList<ClusterAccess> clusters, string istioNamespace, MeshStateReader reader, TimeProvider time)
{
    private readonly InventoryReader _inventory = new(istioNamespace, proxies: 0) { Certificates = true, Time = time };
    private readonly InventoryVersions _versions = new(istioNamespace);
    private readonly Dictionary<string, IReadOnlyList<CredentialReference>> _credentials = new(StringComparer.Ordinal);
    private readonly Dictionary<string, IReadOnlyList<(ResourceKind Kind, string Namespace, string Name)>> _named = new(StringComparer.Ordinal);
    private IReadOnlyList<string> _analyzed = [];

    public IReadOnlyList<Finding> Findings { get; private set; } = [];

    /// <summary>Whether all workloads get calls, as <c>verify</c> says.</summary>
    public IReadOnlyList<Check> Workloads { get; private set; } = [];

    /// <summary>How often objects were analyzed.</summary>
    public int Runs { get; private set; }

    /// <summary>Brings <see cref="Findings"/> and <see cref="Workloads"/> up to date.</summary>
    public async Task UpdateAsync(CancellationToken stop)
    {
        // Versions first: what changes while the objects are read is found the next time.
        IReadOnlyList<string> versions = [.. await Task.WhenAll(clusters.Select(access => VersionsAsync(access, stop))), CertificateTime()];
        if (Runs > 0 && versions.SequenceEqual(_analyzed, StringComparer.Ordinal)) return;
        await AnalyzeAsync(stop);
        _analyzed = versions;
        // Objects of whole clusters were read, and little of that is kept.
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
    }

    /// <summary>A method of its own, so that nothing refers to the objects when it ends.</summary>
    private async Task AnalyzeAsync(CancellationToken stop)
    {
        var inventories = await Task.WhenAll(clusters.Select(access => _inventory.ReadAsync(access.Name, reader.Client(access.Name), stop)));
        (Findings, Workloads) = ([.. Analysis.Run(inventories)], WorkloadVerification.Run(inventories, time.GetUtcNow()));
        foreach (var inventory in inventories)
            (_credentials[inventory.Context], _named[inventory.Context]) = ([.. CredentialReferences.Of(inventory)], [.. GatewayApiReferences.All(inventory)]);
        Runs++;
    }

    /// <summary>Certificates come to an end without a change of any object.</summary>
    private string CertificateTime() => $"{time.GetUtcNow():yyyyMMddHH}";

    private async Task<string> VersionsAsync(ClusterAccess access, CancellationToken stop)
    {
        try
        {
            return await _versions.ReadAsync(reader.Client(access.Name), _credentials.GetValueOrDefault(access.Name, []),
                _named.GetValueOrDefault(access.Name, []), stop);
        }
        catch (HttpRequestException)
        {
            return "unreachable";
        }
    }
}
