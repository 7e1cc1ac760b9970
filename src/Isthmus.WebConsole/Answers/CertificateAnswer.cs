using Isthmus.Core.Problems;
using Isthmus.Mesh.Certificates;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Isthmus.WebConsole.Reading;

namespace Isthmus.WebConsole.Answers;

/// <param name="Notes">What could not be read, and why.</param>
internal sealed record CertificatesPage(DateTimeOffset Now, IReadOnlyList<CertificateRow> Certificates, IReadOnlyList<string> Notes);

/// <param name="Role">What it is for.</param>
/// <param name="Owner">The object that holds it.</param>
/// <param name="Level"><c>ok</c>, <c>warn</c> or <c>bad</c>.</param>
internal sealed record CertificateRow(string Cluster, string Role, string Subject, string Owner, DateTimeOffset? Ends)
{
    public string Fingerprint { get; init; } = "";

    public string State { get; init; } = "";

    public string Level { get; init; } = "";

    public string RenewedBy { get; init; } = "";

    public string NeededBy { get; init; } = "";
}

/// <summary>The inventory of certificates, as <c>isthmus certificates</c> lists it.</summary>
internal sealed class CertificateAnswer(MeshStateReader reader, string istioNamespace, TimeProvider time)
{
    private const int MostProxies = 300;

    public async Task<CertificatesPage> ReadAsync(MeshState mesh, CancellationToken stop)
    {
        var now = time.GetUtcNow();
        var clusters = await Task.WhenAll(mesh.Clusters.Where(cluster => cluster.Facts.Error.Length == 0).Select(cluster => ReadAsync(cluster, stop)));
        var notes = clusters.Where(cluster => cluster.Error.Length > 0).Select(cluster => $"{cluster.Context}: {cluster.Error}")
            .Concat(mesh.Clusters.Where(cluster => cluster.Proxies.Count() > MostProxies)
                .Select(cluster => $"{cluster.Context}: only {MostProxies} of {cluster.Proxies.Count()} proxies were asked"));
        return new(now, [.. clusters.SelectMany(cluster => Rows(cluster, now)).OrderBy(row => row.Level is "bad" ? 0 : row.Level is "warn" ? 1 : 2)],
            [.. notes]);
    }

    private Task<ClusterInventory> ReadAsync(ClusterState cluster, CancellationToken stop)
    {
        var ns = cluster.Facts.SystemNamespace.Length > 0 ? cluster.Facts.SystemNamespace : istioNamespace;
        return new InventoryReader(ns, MostProxies) { Certificates = true, Time = time }.ReadAsync(cluster.Context, reader.Client(cluster.Context), stop);
    }

    private static IEnumerable<CertificateRow> Rows(ClusterInventory cluster, DateTimeOffset now) =>
        cluster.Certificates.Select(one => new CertificateRow(one.Cluster, CertificateState.NameOf(one.Role), one.Subject,
            one.Field.Length == 0 ? one.Owner : $"{one.Owner}: {one.Field}", one.Ends)
    {
        Fingerprint = one.Fingerprint, State = CertificateState.Describe(one, now), RenewedBy = one.RenewedBy, NeededBy = one.NeededBy,
        Level = CertificateAnalysis.Judge(cluster, one, now)?.Problem.Severity switch
        {
            Severity.Error => "bad",
            null => one.Fault.Length > 0 ? "bad" : "ok",
            _ => "warn"
        },
    });
}
