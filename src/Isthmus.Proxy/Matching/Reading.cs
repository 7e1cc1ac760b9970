namespace Isthmus.Proxy.Matching;

/// <summary>How sure a match must be. A request may be read in several ways: a field is given twice, or bytes are not text. Rules that forbid match
/// if one reading does, rules that permit only if all do, so that no reading passes both. A negation turns one into the other.</summary>
internal enum Reading { Any, All }

internal static class Readings
{
    /// <summary>The reading of what is negated.</summary>
    public static Reading Negated(this Reading reading) => reading == Reading.Any ? Reading.All : Reading.Any;
}
