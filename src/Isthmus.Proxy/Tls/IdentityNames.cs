namespace Isthmus.Proxy.Tls;

/// <summary>Secrets that are named by a SPIFFE ID: each is the certificate of that workload.</summary>
internal static class IdentityNames
{
    private const string Scheme = "spiffe://";

    public static bool Has(string name) => name.StartsWith(Scheme, StringComparison.Ordinal);
}
