using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Certificates;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus certificates</c>: every certificate that the mesh lives by, over all clusters. It only reads.</summary>
internal static class CertificatesCommand
{
    private const int MostProxies = 1000;

    internal static readonly string[] Header = ["CLUSTER", "KIND", "CERTIFICATE", "HELD BY", "STATE", "ENDS", "RENEWED BY", "NEEDED BY"];

    internal static Command Build()
    {
        var contexts = new MeshContexts();
        var snapshot = new SnapshotOption();
        var output = new OutputOption();
        var color = new ColorOption("the results");
        var command = new Command("certificates",
            "List every certificate and token that the mesh lives by, when it ends, and what renews it. Read-only; exits with 1 if one is expired, refused, "
                + "about to end, or for other hosts, or if the roots of clusters differ.")
        {
            contexts.Option, color.Option, snapshot.Option, output.Option,
        };
        command.SetAction(async (line, stop) =>
        {
            var source = snapshot.Open(line);
            var names = line.GetValue(GlobalOptions.Context) is { } one && line.GetResult(contexts.Option) is null ? [one] : source.Names(contexts);
            var clusters = await AnalyzeCommand.ReadAsync(source, names, MostProxies, stop);
            var now = source.Time.GetUtcNow();
            if (NamespaceOfPlane.Fault(clusters, source.IstioNamespace) is { } missing) throw new ProblemException(missing);
            var ns = line.GetValue(GlobalOptions.Namespace);
            if (ns is not null) AnalyzeCommand.MustExist(ns, clusters);
            var all = clusters.SelectMany(cluster => cluster.Certificates).Where(one => IsIn(ns, one)).ToList();
            var findings = Findings(clusters, ns);
            output.Write(line, () => Tree(clusters, all, findings, now), () => Show(clusters, all, findings, now, color.Of(line)));
            return findings.Exists(finding => finding.Problem.Severity == Severity.Error) || clusters.Any(cluster => cluster.Error.Length > 0)
                ? ExitCode.Failure
                : ExitCode.Success;
        });
        return command;
    }

    /// <summary>What is wrong with certificates, and with the roots of the clusters beside each other.</summary>
    /// <param name="ns">Null: all namespaces.</param>
    internal static List<Finding> Findings(IReadOnlyList<ClusterInventory> clusters, string? ns) =>
        [.. TrustAnalysis.Differences(clusters).Where(finding => IsIn(ns, finding.Problem.Object)),
            .. clusters.SelectMany(cluster => CertificateAnalysis.Check(cluster, one => IsIn(ns, one)))];

    /// <summary>The last line.</summary>
    /// <param name="count">How many certificates there are.</param>
    internal static string Conclusion(int count, IReadOnlyList<Finding> findings, bool isAllRead)
    {
        var differing = findings.Count(finding => finding.Problem.Code == OwnCodes.RootsDiffer.Code);
        var needy = findings.Count(finding => finding.Problem.Severity != Severity.Info) - differing;
        var roots = differing == 0 ? "" : " The roots of clusters differ: their proxies refuse each other.";
        return needy == 0 && differing == 0 && isAllRead ? $"✔ None of {count} certificates needs anything now."
            : needy == 0 && differing > 0 ? $"✘{roots}" : $"✘ {needy} of {count} certificates need something.{roots}";
    }

    /// <summary>Whether the object that holds a certificate is in a namespace.</summary>
    /// <param name="ns">Null: any, and none.</param>
    private static bool IsIn(string? ns, MeshCertificate certificate) => IsIn(ns, certificate.Owner);

    private static bool IsIn(string? ns, string owner) => ns is null || owner.Contains($" {ns}/", StringComparison.Ordinal);

    private static void Show(IReadOnlyList<ClusterInventory> clusters, IReadOnlyList<MeshCertificate> all, IReadOnlyList<Finding> findings,
        DateTimeOffset now, bool colors)
    {
        TextTable.Write(Header, [.. all.Select(certificate => Row(certificate, now))],
            paint: !colors
                ? null
                : (column, cell) => column != 4
                    ? cell
                    : cell switch { "ok" => Paint.Passed(cell), "ends soon" or "waits" => Paint.Warned(cell), _ => Paint.Failed(cell) });
        Console.WriteLine();
        foreach (var cluster in clusters.Where(cluster => cluster.Error.Length > 0)) Terminal.Painted.WriteLine($"{cluster.Context}: {cluster.Error}");
        foreach (var cluster in clusters.Where(cluster => cluster is { Error: "", CertificatesAt: null }))
            Console.WriteLine($"{cluster.Context}: no control plane is installed (namespace {cluster.SystemNamespace})");
        foreach (var (cluster, problem) in findings.Select(finding => (finding.Cluster, finding.Problem)))
            Terminal.Painted.WriteLine(
                $"{(!colors ? problem.Code : problem.Severity == Severity.Error ? Paint.Failed(problem.Code) : Paint.Warned(problem.Code))} {cluster}: "
                    + $"{problem}");
        foreach (var one in all.Where(one => one.Gap is { IsCertain: false, OfferedAt: "" }).DistinctBy(one => (one.Cluster, one.Owner)))
            Console.WriteLine($"{one.Cluster}: {one.Owner} has no certificate after '{one.Subject}': clients must know its issuer {one.Gap!.Issuer}. If "
                + "that is an intermediate CA, add its certificate to tls.crt.");
        var text = Conclusion(all.Count, findings, clusters.All(cluster => cluster.Error.Length == 0));
        Terminal.Painted.WriteLine(colors ? Paint.Marks(text) : text);
    }

    internal static string[] Row(MeshCertificate certificate, DateTimeOffset now) =>
    [
        certificate.Cluster, CertificateState.NameOf(certificate.Role), certificate.Subject,
        certificate.Field.Length == 0 ? certificate.Owner : $"{certificate.Owner}: {certificate.Field}",
        CertificateState.Describe(certificate, now), Ends(certificate, now), certificate.RenewedBy, certificate.NeededBy,
    ];

    private static string Ends(MeshCertificate certificate, DateTimeOffset now) =>
        certificate.Ends is not { } end ? "" : string.Create(CultureInfo.InvariantCulture, $"{end.UtcDateTime:yyyy-MM-ddTHH:mm:ssZ} ({Left(end - now)})");

    private static string Left(TimeSpan left) => left <= TimeSpan.Zero ? "expired"
        : left.TotalDays >= 2
        ? string.Create(CultureInfo.InvariantCulture, $"in {left.TotalDays:0} d")
        : left.TotalHours >= 2
        ? string.Create(CultureInfo.InvariantCulture, $"in {left.TotalHours:0} h")
        : string.Create(CultureInfo.InvariantCulture, $"in {left.TotalMinutes:0} min");

    private static JsonObject Tree(IReadOnlyList<ClusterInventory> clusters, IReadOnlyList<MeshCertificate> all, IReadOnlyList<Finding> findings,
        DateTimeOffset now) => new()
    {
        ["certificates"] = new JsonArray([.. all.Select(certificate => (JsonNode)new JsonObject
        {
            ["cluster"] = certificate.Cluster, ["kind"] = CertificateState.NameOf(certificate.Role), ["subject"] = certificate.Subject,
            ["issuer"] = certificate.Issuer, ["fingerprint"] = certificate.Fingerprint,
            ["heldBy"] = certificate.Owner, ["field"] = certificate.Field, ["state"] = CertificateState.Describe(certificate, now),
            ["inForce"] = certificate.IsInForce,
            ["begins"] = Time(certificate.Begins), ["ends"] = Time(certificate.Ends), ["root"] = certificate.Root, ["renewedBy"] = certificate.RenewedBy,
            ["neededBy"] = certificate.NeededBy,
            ["names"] = Texts(certificate.Names), ["hosts"] = Texts(certificate.Hosts), ["trusts"] = Texts(certificate.Trusts),
        })]),
        ["problems"] = new JsonArray([.. findings.Select(finding => (JsonNode)new JsonObject
        {
            ["cluster"] = finding.Cluster, ["code"] = finding.Problem.Code, ["object"] = finding.Problem.Object, ["path"] = finding.Problem.Path,
            ["message"] = finding.Problem.Message, ["remedy"] = finding.Problem.Remedy,
            ["severity"] = finding.Problem.Severity.ToString(),
        })]),
        ["unreadable"] = new JsonArray([.. clusters.Where(cluster => cluster.Error.Length > 0)
            .Select(cluster => (JsonNode)new JsonObject { ["cluster"] = cluster.Context, ["error"] = cluster.Error })]),
    };

    private static JsonArray Texts(IEnumerable<string> texts) => new([.. texts.Select(text => (JsonNode)JsonValue.Create(text)!)]);

    private static string? Time(DateTimeOffset? time) => time?.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);
}
