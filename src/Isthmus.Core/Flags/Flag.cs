using System.Globalization;
using Isthmus.Core.Net;

namespace Isthmus.Core.Flags;

/// <summary>A flag that a program declares: <c>--name VALUE</c>, <c>--name=VALUE</c>, or <c>--name</c> alone for a switch.</summary>
public abstract class Flag
{
    private readonly string[] _names;

    private protected Flag(string name, string valueName, string[] aliases) => (_names, ValueName) = ([name, .. aliases], valueName);

    /// <summary>With its dashes.</summary>
    public string Name => _names[0];

    internal IEnumerable<string> Names => _names;

    /// <summary>What help and errors call the value; empty for a switch.</summary>
    internal string ValueName { get; }

    internal bool IsSwitch => ValueName.Length == 0;

    internal string Usage => IsSwitch ? Name : $"{Name} {ValueName}";

    /// <summary>Accepted for compatibility, and not listed as a known flag.</summary>
    internal bool IsIgnored { get; private init; }

    internal bool Has(string name) => Array.IndexOf(_names, name) >= 0;

    /// <exception cref="FormatException">The value is not valid. The message says what was expected.</exception>
    internal abstract object? Parse(string text);

    public static Flag<string> Text(string name, string valueName, string otherwise,
        params string[] aliases) => new(name, valueName, otherwise, text => text, aliases);

    public static Flag<bool> Switch(string name, params string[] aliases) => new(name, "", false, ParseBool, aliases);

    /// <param name="lowest">0 where the program may choose a port by itself.</param>
    public static Flag<int> Port(string name, int otherwise, int lowest = 1, params string[] aliases) => new(name, "PORT", otherwise,
        text => PortNumber.TryParse(text, out var port) && port >= lowest
            ? port
            : throw new FormatException($"expected a port number from {lowest} to {PortNumber.Highest}"),
        aliases);

    public static Flag<int> PositiveNumber(string name, int otherwise) => new(name, "N", otherwise,
        text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0
            ? number
            : throw new FormatException("expected a positive whole number"));

    /// <summary>Flags with a value that this program accepts and does not use.</summary>
    public static IEnumerable<Flag> Ignored(params string[] names) =>
        names.Select(name => new Flag<string>(name, "VALUE", "", text => text) { IsIgnored = true });

    /// <summary>Switches that this program accepts and does not use.</summary>
    public static IEnumerable<Flag> IgnoredSwitches(params string[] names) =>
        names.Select(name => new Flag<bool>(name, "", false, ParseBool) { IsIgnored = true });

    private static bool ParseBool(string text) => bool.TryParse(text, out var on) ? on : throw new FormatException("expected true or false");
}

/// <param name="otherwise">The value when the flag is not given.</param>
/// <param name="parse">Throws <see cref="FormatException"/> for an invalid value; the message says what was expected, for
/// example "expected true or false".</param>
public sealed class Flag<T>(string name, string valueName, T otherwise, Func<string, T> parse, params string[] aliases) : Flag(name, valueName, aliases)
{
    public T Default => otherwise;

    internal override object? Parse(string text) => parse(text);
}
