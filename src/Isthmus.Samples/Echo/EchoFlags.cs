using Isthmus.Core.Net;
using Isthmus.Core.Problems;

namespace Isthmus.Samples.Echo;

/// <summary>Flags that may be given several times, as <c>--name=value</c> or as two words.</summary>
internal sealed class EchoFlags
{
    private readonly string _program;
    private readonly List<(string Name, string Value)> _flags = [];

    private EchoFlags(string program) => _program = program;

    /// <summary>Arguments that are not flags.</summary>
    public List<string> Words { get; } = [];

    /// <exception cref="ProblemException">A flag is unknown, or lacks its value.</exception>
    public static EchoFlags Read(string program, string[] args, string[] known, string[]? switches = null)
    {
        var flags = new EchoFlags(program);
        for (var i = 0; i < args.Length; i++)
        {
            if (args[i].Length < 2 || args[i][0] != '-')
            {
                flags.Words.Add(args[i]);
                continue;
            }
            var equals = args[i].IndexOf('=', StringComparison.Ordinal);
            var name = equals < 0 ? args[i] : args[i][..equals];
            if (switches?.Contains(name) == true) flags._flags.Add((name, "true"));
            else if (!known.Contains(name))
                throw new ProblemException(program, $"unknown flag {name}", $"the flags are {string.Join(", ", known.Concat(switches ?? []))}");
            else if (equals >= 0) flags._flags.Add((name, args[i][(equals + 1)..]));
            else if (++i < args.Length) flags._flags.Add((name, args[i]));
            else throw new ProblemException(program, $"flag {name} needs a value", $"write {name}=VALUE");
        }
        return flags;
    }

    public bool Has(string name) => _flags.Exists(flag => flag.Name == name);

    public string Text(string name) => _flags.FindLast(flag => flag.Name == name).Value ?? "";

    public IEnumerable<string> All(params string[] names) => _flags.Where(flag => names.Contains(flag.Name)).Select(flag => flag.Value);

    /// <exception cref="ProblemException">A value is not a port.</exception>
    public int[] Ports(string name, params int[] otherwise) => Has(name)
        ? [.. All(name).SelectMany(text => text.Split(','))
            .Select(text => PortNumber.TryParse(text, out var port) && port > 0
                ? port
                : throw new ProblemException(_program, $"{name}: '{text}' is not a port", "give numbers between 1 and 65535"))]
        : otherwise;
}
