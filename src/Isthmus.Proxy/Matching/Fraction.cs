using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Proxy.Matching;

/// <summary>A fraction of requests, in millionths.</summary>
internal sealed record Fraction(int PerMillion)
{
    public bool Hits(Random random) => PerMillion >= 1_000_000 || (PerMillion > 0 && random.Next(1_000_000) < PerMillion);
}
