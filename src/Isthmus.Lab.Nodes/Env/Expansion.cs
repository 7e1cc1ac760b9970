using System.Text;

namespace Isthmus.Lab.Nodes.Env;

/// <summary>Kubernetes' <c>$(NAME)</c> references in commands, arguments and values.</summary>
public static class Expansion
{
    /// <summary>References to unknown names stay as they are; <c>$$</c> is one dollar sign, so <c>$$(NAME)</c> is never a
    /// reference.</summary>
    public static string Expand(string text, IReadOnlyDictionary<string, string> values)
    {
        if (!text.Contains('$', StringComparison.Ordinal)) return text;
        var result = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != '$' || i + 1 == text.Length)
            {
                result.Append(text[i]);
                continue;
            }
            if (text[i + 1] == '$')
            {
                result.Append('$');
                i++;
                continue;
            }
            var end = text[i + 1] == '(' ? text.IndexOf(')', i + 2) : -1;
            if (end < 0)
            {
                result.Append('$');
                continue;
            }
            var name = text[(i + 2)..end];
            result.Append(values.TryGetValue(name, out var value) ? value : $"$({name})");
            i = end;
        }
        return result.ToString();
    }
}
