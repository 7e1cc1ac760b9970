using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>How callers use TLS with a host, and which servers they accept: what a BackendTLSPolicy says.</summary>
/// <param name="Source">The policy.</param>
/// <param name="Port">0: every port that has no entry of its own.</param>
/// <param name="ServerName">What callers ask for. The certificate must have it unless <paramref name="Names"/> has others.</param>
/// <param name="Names">Of which the certificate must have one.</param>
/// <param name="Roots">The CAs, as PEM; empty: those of the caller's system.</param>
public sealed record BackendTls(ObjectRef Source, int Port, string ServerName, ValueList<string> Names, string Roots)
{
    /// <summary>The policy has no CA that can be used: there are no connections.</summary>
    public bool IsBlocked { get; init; }
}
