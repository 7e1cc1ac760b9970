using System.Collections.Concurrent;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Certificates;
using Isthmus.Operate.Inventory;
using Isthmus.Wire.Tls;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Reads the certificates that a cluster lives by: one inventory for all commands, the analysis and the console. It changes nothing, and keeps no
/// key.</summary>
internal sealed class CertificateReader(KubeClient client, string istioNamespace, DateTimeOffset now)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<string, Task<SecretFacts?>> _secrets = new(StringComparer.Ordinal);

    /// <param name="roots">ConfigMap <c>istio-ca-root-cert</c> of the system namespace.</param>
    public async Task<ValueList<MeshCertificate>> ReadAsync(ClusterInventory cluster, ConfigMap? roots, IReadOnlyList<ProxySecrets> proxies,
        CancellationToken stop)
    {
        var (given, own, checking) = (FindAsync(istioNamespace, WellKnown.CaCerts, stop), FindAsync(istioNamespace, WellKnown.SelfSignedCa, stop),
            ValidatingAsync(stop));
        var (serving, credentials) = (ServedAsync(cluster, stop), new CredentialCertificates(cluster, (ns, name) => FindAsync(ns, name, stop)).ReadAsync());
        var authorities = cluster.Trust.ServesElsewhere
            ? AuthorityCertificates.OfHosted(cluster.Context, istioNamespace, await given, await own)
            : new(cluster.Context, istioNamespace, Of(roots, WellKnown.RootCertKey), Of(roots, WellKnown.IssuerCertKey), await given, await own)
            {
                IsServedFromElsewhere = cluster.Trust.InstalledAt is null && ControlPlaneElsewhere.Serves(cluster, istioNamespace)
            };
        var injecting = cluster.Objects("MutatingWebhookConfiguration").Where(InjectorWebhook.IsInjector);
        return
        [
            .. authorities.All(now),
            .. WebhookCertificates.Of(cluster, injecting.Concat(await checking), await serving, now),
            .. proxies.SelectMany(proxy => proxy.Certificates(cluster.Context)),
            .. await credentials,
            .. CredentialCertificates.Tokens(cluster.Context, cluster.RemoteSecrets),
        ];
    }

    private static string Of(ConfigMap? map, string key) => map?.Data.GetValueOrDefault(key) ?? "";

    /// <summary>Null if it does not exist, or nobody may read it.</summary>
    private Task<SecretFacts?> FindAsync(string ns, string name, CancellationToken stop) => _secrets.GetOrAdd($"{ns}/{name}", async _ =>
    {
        try { return await client.FindAsync<Secret>(Kinds.Secret, ns, name, stop) is { } secret ? SecretFacts.Of(secret) : null; }
        catch (KubeException e) when (e.Code is 401 or 403) { return null; }
    });

    private async Task<IReadOnlyList<JsonObject>> ValidatingAsync(CancellationToken stop)
    {
        try
        {
            var found = await client.ListAllAsync<JsonObject>(Kinds.ValidatingWebhookConfiguration, null,
                new ListOptions { LabelSelector = $"app={WellKnown.Istiod}" }, stop);
            foreach (var value in found) value["kind"] = Kinds.ValidatingWebhookConfiguration.Kind;
            return found;
        }
        catch (KubeException e) when (e.Code is 401 or 403 or 404)
        {
            return [];
        }
    }

    /// <summary>A snapshot has nobody to shake hands with.</summary>
    private async Task<IReadOnlyList<ServedChain>> ServedAsync(ClusterInventory cluster, CancellationToken stop)
    {
        if (client.Access.StandIn is not null) return [];
        var planes = cluster.Pods.Where(pod => pod.Metadata.Namespace == istioNamespace && pod.Metadata.Labels.GetValueOrDefault("app") == WellKnown.Istiod
            && pod.Status.IsReady && pod.Metadata.DeletionTimestamp is null);
        return [.. (await Task.WhenAll(planes.Select(pod => ShakeHandsAsync(pod.Metadata.Namespace, pod.Metadata.Name, stop)))).OfType<ServedChain>()];
    }

    /// <summary>What it serves is judged afterwards, against each bundle. Null: there was no handshake.</summary>
    private async Task<ServedChain?> ShakeHandsAsync(string ns, string pod, CancellationToken stop)
    {
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limited.CancelAfter(Patience);
        var chain = new List<X509Certificate2>();
        try
        {
            await using var stream = await client.Pods.OpenAsync(ns, pod, Ports.Webhook, limited.Token);
            await using var tls = new SslStream(stream);
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = $"{WellKnown.Istiod}.{ns}.svc",
                CertificateChainPolicy = PeerChain.Unjudged(),
                RemoteCertificateValidationCallback = (_, certificate, sent, _) =>
                {
                    if (certificate is not X509Certificate2 leaf) return false;
                    chain.Add(Copy(leaf));
                    chain.AddRange((sent?.ChainPolicy.ExtraStore ?? []).Where(above => !above.Equals(leaf)).Select(Copy));
                    return true;
                },
            }, limited.Token);
        }
        catch (Exception e) when (e is KubeException or HttpRequestException or IOException or AuthenticationException
            || (e is OperationCanceledException && !stop.IsCancellationRequested))
        {
            return null;
        }
        return chain.Count > 0 ? new(ns, pod, chain) : null;
    }

    private static X509Certificate2 Copy(X509Certificate2 certificate) => X509CertificateLoader.LoadCertificate(certificate.RawDataMemory.Span);
}
