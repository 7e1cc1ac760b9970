using System.Globalization;
using System.Net;
using Isthmus.Core.Problems;

namespace Isthmus.Samples.CommandLine;

/// <summary>The command line of a sample: <c>--name value</c>, <c>--name=value</c> and words.</summary>
internal sealed class Options
{
    private readonly Dictionary<string, string> _named = new(StringComparer.Ordinal);

    private Options(string program) => Program = program;

    internal string Program { get; }

    internal List<string> Words { get; } = [];

    internal string? this[string name] => _named.GetValueOrDefault(name);

    /// <param name="aliases">Every accepted option and the option it is an alias of.</param>
    /// <param name="lenient">Unknown options are ignored instead of refused, together with a value that follows.</param>
    internal static Options Parse(string program, IEnumerable<string> args, IReadOnlyDictionary<string, string> aliases, bool lenient = false)
    {
        var options = new Options(program);
        using var rest = args.GetEnumerator();
        while (rest.MoveNext())
        {
            var word = rest.Current;
            if (word.Length < 2 || word[0] != '-')
            {
                options.Words.Add(word);
                continue;
            }
            var (name, value) = word.Split('=', 2) is [var left, var right] ? (left, right) : (word, (string?)null);
            if (!aliases.TryGetValue(name, out var known))
            {
                if (lenient) continue;
                throw new ProblemException(program, $"unknown option '{name}'", $"known are {string.Join(", ", aliases.Keys)}");
            }
            value ??= rest.MoveNext() ? rest.Current : throw new ProblemException(program, $"option '{name}' needs a value");
            options._named[known] = value;
        }
        return options;
    }

    internal int Port(string name, int otherwise)
    {
        if (this[name] is not { } text) return otherwise;
        return ParsePort(text) ?? throw new ProblemException(Program, $"'{text}' is not a port", "give a number from 1 to 65535");
    }

    internal static int? ParsePort(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is > 0 and < 65536 ? port : null;

    /// <summary>Reads <c>ADDRESS:PORT</c>, <c>:PORT</c> or <c>[IPv6]:PORT</c>.</summary>
    internal static IPEndPoint Address(string program, string text)
    {
        var colon = text.LastIndexOf(':');
        var host = colon < 0 ? "" : text[..colon].Trim('[', ']');
        IPAddress? address = host.Length == 0 || host == "*" ? IPAddress.IPv6Any : IPAddress.TryParse(host, out var parsed) ? parsed : null;
        if (address is not null && ParsePort(text[(colon + 1)..]) is { } port)
            return new(address.Equals(IPAddress.Any) ? IPAddress.IPv6Any : address, port);
        throw new ProblemException(program, $"'{text}' is not an address to listen at", "give ADDRESS:PORT, for example 0.0.0.0:8080");
    }
}
