using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>A Secret or ConfigMap that an object names for TLS, or the ServiceAccount that must be allowed to list the Secrets of its namespace.</summary>
/// <param name="Context">Of its cluster.</param>
internal readonly record struct HolderRef(string Context, string Kind, string Namespace, string Name);

/// <summary>What is known of a Secret or ConfigMap with certificates, without its values.</summary>
/// <param name="Problem">Why it cannot be used, as the end of a sentence about it; empty: nothing is wrong, or nobody may read it.</param>
/// <param name="Keys">The keys that it has.</param>
internal sealed record TracedHolder(string Problem, IReadOnlyList<string> Keys)
{
    public static readonly TracedHolder Unreadable = new("", []);

    private const string DoesNotExist = "does not exist";

    /// <summary>Why a control plane cannot sign with it; empty: it can, or nobody knows.</summary>
    public string CaProblem { get; private init; } = "";

    /// <summary>The CAs of a Secret, as PEM; empty: it has none, or nobody knows.</summary>
    public string Authorities { get; private init; } = "";

    public bool IsMissing => Problem == DoesNotExist;

    /// <summary>A certificate and its key.</summary>
    /// <param name="secret">Null: it does not exist.</param>
    public static TracedHolder Of(Secret? secret) => secret is null ? new(DoesNotExist, [])
        : Of(SecretFacts.Of(secret), [.. secret.Data.Keys.Order(StringComparer.Ordinal)]);

    private static TracedHolder Of(SecretFacts read, IReadOnlyList<string> keys) => new(read.KeyPairProblem, keys)
    {
        CaProblem = read.CaProblem, Authorities = read.First("ca.crt", "cacert") ?? "",
    };

    /// <summary>An account that must be allowed to list Secrets, to be sent some.</summary>
    public static TracedHolder Of(bool listsSecrets) => new(listsSecrets ? "" : "may not list Secrets there", []);

    /// <summary>CAs.</summary>
    /// <param name="map">Null: it does not exist.</param>
    public static TracedHolder Of(ConfigMap? map) => map is null ? new(DoesNotExist, [])
        : new(map.Data.GetValueOrDefault("ca.crt") is { Length: > 0 } ? "" : "has no ca.crt", [.. map.Data.Keys.Order(StringComparer.Ordinal)]);
}
