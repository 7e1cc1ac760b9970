using Isthmus.Core.Problems;

namespace Isthmus.Core.Flags;

/// <summary>Reads the command line of a program that declares its flags. It uses no reflection: a proxy reads its flags at
/// each start.</summary>
/// <param name="program">How errors name the program, for example <c>isthmus wait</c>.</param>
public sealed class FlagSet(string program, params IEnumerable<Flag> flags)
{
    private readonly Flag[] _flags = [.. flags];

    /// <summary>How many arguments other than flags the program takes.</summary>
    public int MaxWords { get; init; }

    /// <summary>Skip unknown flags, for a program that stands in for another and does not know all of its flags.</summary>
    public bool SkipsUnknown { get; init; }

    /// <exception cref="WrongUseException">A flag is unknown, lacks its value or has an invalid one, or there are too many
    /// arguments.</exception>
    public FlagValues Read(IReadOnlyList<string> args)
    {
        var values = new Dictionary<Flag, object?>();
        var words = new List<string>();
        for (var i = 0; i < args.Count; i++)
        {
            var word = args[i];
            if (word.Length < 2 || word[0] != '-')
            {
                if (words.Count == MaxWords && !SkipsUnknown) throw new WrongUseException(program, $"unexpected argument '{word}'");
                words.Add(word);
                continue;
            }
            var equals = word.IndexOf('=', StringComparison.Ordinal);
            var name = equals < 0 ? word : word[..equals];
            if (Array.Find(_flags, flag => flag.Has(name)) is not { } flag)
            {
                if (SkipsUnknown) continue;
                throw Unknown(name);
            }
            string value;
            if (equals >= 0) value = word[(equals + 1)..];
            else if (flag.IsSwitch) value = bool.TrueString;
            else if (++i < args.Count) value = args[i];
            else throw new WrongUseException(program, $"flag {name} needs a value", $"write {name} {flag.ValueName}");
            values[flag] = Parse(flag, name, value);
        }
        return new(program, values, words);
    }

    private object? Parse(Flag flag, string name, string value)
    {
        try
        {
            return flag.Parse(value);
        }
        catch (FormatException e)
        {
            throw new WrongUseException(program, $"{name}: invalid value '{value}'", e.Message, e);
        }
    }

    private WrongUseException Unknown(string name)
    {
        // Single letters are all near to each other. One dash or two make no difference to what was meant.
        var names = _flags.SelectMany(flag => flag.Names).Where(known => known.TrimStart('-').Length > 1).ToLookup(known => "--" + known.TrimStart('-'));
        var meant = Spelling.Nearest("--" + name.TrimStart('-'), names.Select(group => group.Key)) is { } near ? names[near].First() : null;
        return new(program, $"unknown flag {name}", meant is not null ? $"did you mean {meant}?"
            : $"known flags: {string.Join(", ", _flags.Where(flag => !flag.IsIgnored).Select(flag => flag.Usage))}");
    }
}
