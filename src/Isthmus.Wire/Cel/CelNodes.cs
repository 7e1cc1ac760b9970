namespace Isthmus.Wire.Cel;

/// <summary>A part of an expression.</summary>
public abstract record CelNode;

/// <param name="Value">null, bool, long, double or string.</param>
public sealed record CelLiteral(object? Value) : CelNode;

/// <summary>A name outside of loops, or the variable of one.</summary>
public sealed record CelVariable(string Name) : CelNode;

public sealed record CelList(IReadOnlyList<CelNode> Items) : CelNode;

/// <summary>A map; its keys and values alternate.</summary>
public sealed record CelMap(IReadOnlyList<(CelNode Key, CelNode Value)> Entries) : CelNode;

public sealed record CelField(CelNode On, string Name) : CelNode
{
    private static readonly string[] Keywords =
    [
        "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if",
        "import", "let", "loop", "package", "namespace", "return", "var", "void", "while",
    ];

    /// <summary>Field names that are not identifiers of CEL are written with these escapes.</summary>
    public static string Unescape(string name) =>
        name.StartsWith("__", StringComparison.Ordinal) && name.EndsWith("__", StringComparison.Ordinal) && name.Length > 4 && Keywords.Contains(name[2..^2])
            ? name[2..^2]
        : name
            .Replace("__underscores__", "__", StringComparison.Ordinal).Replace("__dot__", ".", StringComparison.Ordinal)
            .Replace("__dash__", "-", StringComparison.Ordinal).Replace("__slash__", "/", StringComparison.Ordinal);
}

/// <summary>Whether a field exists.</summary>
public sealed record CelHas(CelField Field) : CelNode;

public sealed record CelIndex(CelNode On, CelNode Key) : CelNode;

public sealed record CelNot(CelNode Of) : CelNode;

public sealed record CelMinus(CelNode Of) : CelNode;

public sealed record CelChoice(CelNode Test, CelNode Then, CelNode Else) : CelNode;

public sealed record CelBinary(string Operator, CelNode Left, CelNode Right) : CelNode;

/// <param name="Kind">all, exists, exists_one, map or filter.</param>
public sealed record CelLoop(string Kind, CelNode Over, string Variable, CelNode Body) : CelNode;

/// <summary>A loop with a variable for the index or key, and one for the item.</summary>
/// <param name="Kind">all, exists, existsOne, transformList or transformMap.</param>
/// <param name="Filter">Which items are transformed; null for all.</param>
public sealed record CelPairLoop(string Kind, CelNode Over, string Key, string Item, CelNode? Filter, CelNode Body) : CelNode;

/// <summary>A field or an item as an optional value: empty where it is missing.</summary>
public sealed record CelOptional(CelNode On, CelNode Key) : CelNode;

/// <param name="Arguments">The receiver of a call is its first argument.</param>
public sealed record CelCall(string Name, IReadOnlyList<CelNode> Arguments) : CelNode;
