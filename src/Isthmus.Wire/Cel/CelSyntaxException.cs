using System.Text;

namespace Isthmus.Wire.Cel;

/// <summary>The text is not CEL. The message has the form of cel-go's: the place, the reason, and the line with a mark below it.</summary>
public sealed class CelSyntaxException(string expression, int at, string why) : Exception(Describe(expression, at, why))
{
    /// <summary>The place and the reason, in one line.</summary>
    public string Summary => Message.Split('\n')[0]["ERROR: <input>:".Length..];

    private static string Describe(string expression, int at, string why)
    {
        var lines = expression.Split('\n');
        var line = 0;
        while (at > lines[line].Length)
        {
            at -= lines[line].Length + 1;
            line++;
        }
        var before = lines[line][..at].EnumerateRunes().Count();
        return new StringBuilder($"ERROR: <input>:{line + 1}:{before + 1}: {why}\n | ")
            .Append(lines[line].Replace('\t', ' ')).Append("\n | ").Append('.', before).Append('^').ToString();
    }
}

/// <summary>The expression is CEL, but uses something that is not supported here.</summary>
public sealed class CelUnsupportedException(string message) : Exception(message);
