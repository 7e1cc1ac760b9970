using System.Text;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Remote;

namespace Isthmus.Operate.Inventory;

/// <summary>One entry of a remote secret: how a control plane reaches another cluster. Credentials are checked but not
/// kept.</summary>
/// <param name="Secret"><c>namespace/name</c>.</param>
/// <param name="Cluster">The cluster's name in the Secret: its key.</param>
/// <param name="Server">The API server's address; empty when it cannot be read.</param>
/// <param name="Expires">When its token expires; null when it has no token, or one that does not expire.</param>
/// <param name="Error">Why the kubeconfig cannot be used; empty when it can.</param>
public sealed record RemoteSecretFacts(string Secret, string Cluster, string Server, DateTimeOffset? Expires, string Error)
{
    /// <summary>When its token was issued; null when nobody knows.</summary>
    public DateTimeOffset? Issued { get; init; }

    /// <summary>The UID of the Namespace kube-system where it leads, as the control plane says that uses it; empty when nobody says it.</summary>
    public string Uid { get; init; } = "";

    /// <summary>Whether a control plane that runs elsewhere reads its configuration with this entry.</summary>
    public bool IsConfig => Secret.EndsWith($"/{WellKnown.ConfigSecret}", StringComparison.Ordinal);

    public static IEnumerable<RemoteSecretFacts> Read(Secret secret)
    {
        foreach (var key in secret.Data.Keys.Order(StringComparer.Ordinal))
        {
            var text = Encoding.UTF8.GetString(secret.Bytes(key) ?? []);
            RemoteSecretFacts facts;
            try
            {
                RemoteSecretReader.RequireSelfContained(text, $"Secret {secret.Key}, key {key}");
                var access = KubeConfig.Parse(text, null, $"Secret {secret.Key}, key {key}");
                var life = CredentialLifetime.OfToken(access.Token);
                facts = new(secret.Key, key, access.Server.ToString().TrimEnd('/'), life?.Expires, "") { Issued = life?.Issued };
            }
            catch (ProblemException e)
            {
                facts = new(secret.Key, key, "", null, e.Message);
            }
            yield return facts;
        }
    }
}
