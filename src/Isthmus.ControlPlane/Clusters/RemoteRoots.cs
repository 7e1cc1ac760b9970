using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Isthmus.ControlPlane.Ca;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Wire.Tls;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>
/// Compares the trusted roots of remote clusters with those of this one. Clusters without a common root see each other's endpoints,
/// but every call between them fails in the TLS handshake: that should be reported before it shows up in an access log.
/// </summary>
public sealed class RemoteRoots(CaState ca, string ns, TimeProvider time)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<string, string> _differences = new(StringComparer.Ordinal);

    /// <summary>How the roots of a cluster differ from this one's; empty while they match or are unknown.</summary>
    public string Difference(string cluster) => _differences.GetValueOrDefault(cluster, "");

    /// <summary>Polls the clusters until stopped.</summary>
    public async Task RunAsync(Func<IEnumerable<ClusterWatch>> remotes, CancellationToken stop)
    {
        await ca.Ready.WaitAsync(stop);
        using var timer = new PeriodicTimer(Interval, time);
        do
        {
            await Task.WhenAll(remotes().Select(watch => CompareAsync(watch, stop)));
        }
        while (await timer.WaitForNextTickAsync(stop));
    }

    /// <summary>Null when the bundles have a root in common.</summary>
    public static string? Compare(IReadOnlyList<X509Certificate2> own, IReadOnlyList<X509Certificate2> other) =>
        own.Any(root => other.Any(candidate => candidate.RawDataMemory.Span.SequenceEqual(root.RawDataMemory.Span))) ? null
            : $"its root ({Names(other)}) is not ours ({Names(own)}): calls between the clusters fail with certificate errors; give both a Secret "
                + $"{WellKnown.CaCerts} whose CA comes from one root";

    private async Task CompareAsync(ClusterWatch watch, CancellationToken stop)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(Interval);
        try
        {
            var map = await watch.Client.FindAsync<ConfigMap>(Kinds.ConfigMap, ns, WellKnown.RootCertConfigMap, limit.Token);
            var pem = map?.Data.GetValueOrDefault(WellKnown.RootCertKey) ?? "";
            var source = $"ConfigMap {ns}/{WellKnown.RootCertConfigMap}";
            _differences[watch.Id] = pem.Length == 0 || ca.Current is not { } current ? ""
                : Compare(current.Bundle.Trust.Roots, CertificateText.Read(pem, source)) ?? "";
        }
        catch (ProblemException e)
        {
            _differences[watch.Id] = e.Message;
        }
        catch (Exception e) when (e is KubeException { Code: 403 or 404 })
        {
            // Accounts that Istio's own tools created may not read it: then the roots are unknown.
            _differences[watch.Id] = "";
        }
        catch (Exception e) when (!stop.IsCancellationRequested && e is KubeException or HttpRequestException or IOException or OperationCanceledException
            or JsonException or InvalidOperationException or FormatException or NotSupportedException)
        {
            // The watch itself reports that the cluster is unreachable; its last known roots stay.
        }
    }

    private static string Names(IReadOnlyList<X509Certificate2> roots) =>
        string.Join(", ", roots.Select(root => $"{root.Subject}, SHA-256 {root.GetCertHashString(HashAlgorithmName.SHA256)[..16]}…"));
}
