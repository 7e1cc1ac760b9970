using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Install.Render;

namespace Isthmus.Operate.RemoteSecrets;

/// <param name="Expires">Null when the token is valid until the Secret that it is bound to is deleted.</param>
public sealed record AccountToken(string Token, string CaCertificate, DateTimeOffset? Expires);

/// <summary>Issues tokens of one ServiceAccount. Each token is bound to a Secret: you revoke the token by deleting that
/// Secret, so tokens can be rotated one at a time.</summary>
public sealed class AccountTokens(KubeClient client, string ns, string account, TimeProvider time, Action<string> note)
{
    private static readonly TimeSpan TokenLimit = TimeSpan.FromSeconds(10);
    private const string AccountAnnotation = "kubernetes.io/service-account.name";
    private const string TokenType = "kubernetes.io/service-account-token";

    /// <summary>Gets a token that does not expire: the token of <paramref name="secretName"/>, else the newest existing
    /// one, else a new one, which the cluster's controller fills in.</summary>
    /// <param name="fresh">Create a new token even if there is one.</param>
    public async Task<AccountToken> LastingAsync(string? secretName, bool fresh, CancellationToken stop)
    {
        var existing = (await client.ListAllAsync<Secret>(Kinds.Secret, ns, new ListOptions { FieldSelector = $"type={TokenType}" }, stop))
            .Where(secret => secret.Metadata.Annotations.GetValueOrDefault(AccountAnnotation) == account)
            .OrderByDescending(secret => secret.Metadata.CreationTimestamp).Select(secret => secret.Metadata.Name).ToList();
        var first = $"{account}-istio-remote-secret-token";
        var name = secretName ?? (fresh ? null : existing.FirstOrDefault()) ?? (existing.Contains(first) ? $"{first}-{Stamp()}" : first);
        if (secretName is null && !existing.Contains(name)) await CreateAsync(name, TokenType, stop);
        if (fresh) Note(existing.Where(other => other != name));
        return await FilledAsync(name, stop);
    }

    /// <summary>Creates a token that expires. The API server may grant less time than requested.</summary>
    public async Task<AccountToken> ExpiringAsync(TimeSpan duration, CancellationToken stop)
    {
        var name = $"{account}-istio-remote-token-{Stamp()}";
        await CreateAsync(name, "Opaque", stop);
        var body = new JsonObject
        {
            ["apiVersion"] = "authentication.k8s.io/v1",
            ["kind"] = "TokenRequest",
            ["spec"] = new JsonObject
            {
                ["expirationSeconds"] = (long)duration.TotalSeconds,
                ["boundObjectRef"] = new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Secret", ["name"] = name },
            },
        };
        var answer = StrictJson.Parse(await client.RawAsync(HttpMethod.Post, Kinds.ServiceAccount.Path(ns, account, "token"), body, stop));
        var token = answer?["status"]?["token"]?.ToString()
            ?? throw new ProblemException($"ServiceAccount {ns}/{account}", "received no token from the API server");
        var expires = DateTimeOffset.Parse(answer["status"]!["expirationTimestamp"]!.ToString(), CultureInfo.InvariantCulture);
        note(
            $"The token expires at {expires:u}; before then, create the next one with --rotate. To revoke it earlier: kubectl --context={client.Access.Name} "
                + $"-n {ns} delete secret {name}");
        var trust = (await client.FindAsync<ConfigMap>(Kinds.ConfigMap, ns, "kube-root-ca.crt", stop))?.Data.GetValueOrDefault("ca.crt")
            ?? client.Access.CertificateAuthority;
        return new(token,
            trust
                ?? throw new ProblemException($"ConfigMap {ns}/kube-root-ca.crt", "does not exist, and the kubeconfig has no certificate authority",
                    "use a token without --token-duration"),
            expires);
    }

    private void Note(IEnumerable<string> earlier)
    {
        foreach (var name in earlier)
            note(
                $"The earlier token stays valid. Once 'isthmus remote-clusters' shows the cluster synced with the new one, revoke the earlier one: kubectl "
                    + $"--context={client.Access.Name} -n {ns} delete secret {name}");
    }

    private string Stamp() => time.GetUtcNow().ToString("yyyyMMddHHmmss", CultureInfo.InvariantCulture);

    private async Task CreateAsync(string name, string type, CancellationToken stop)
    {
        var secret = new JsonObject
        {
            ["apiVersion"] = "v1",
            ["kind"] = "Secret",
            ["type"] = type,
            ["metadata"] = new JsonObject
            {
                ["name"] = name,
                ["namespace"] = ns,
                ["annotations"] = new JsonObject { [AccountAnnotation] = account },
                // An uninstall finds it by these labels.
                ["labels"] = new JsonObject { [ObjectLabels.Release] = "istio", [ObjectLabels.Component] = "Base" },
            },
        };
        try { await client.CreateAsync(Kinds.Secret, secret, stop); }
        catch (KubeException e) when (e.IsAlreadyExists) { /* created concurrently: the same result */ }
    }

    private async Task<AccountToken> FilledAsync(string name, CancellationToken stop)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(stop);
        deadline.CancelAfter(TokenLimit);
        try
        {
            while (true)
            {
                var secret = await client.FindAsync<Secret>(Kinds.Secret, ns, name, deadline.Token);
                if (secret?.Bytes("token") is { Length: > 0 } token && secret.Bytes("ca.crt") is { Length: > 0 } ca)
                    return new(Encoding.UTF8.GetString(token), Encoding.UTF8.GetString(ca), null);
                await Task.Delay(TimeSpan.FromMilliseconds(50), time, deadline.Token);
            }
        }
        catch (OperationCanceledException e) when (!stop.IsCancellationRequested)
        {
            throw new ProblemException($"Secret {ns}/{name}", $"got no token for ServiceAccount {account} within {TokenLimit.TotalSeconds:0} s",
                "check that the account exists and that the cluster's controllers are running", e);
        }
    }
}
