using System.Text;

namespace Isthmus.Proxy.Matching;

/// <summary>
/// Templates of paths (<c>envoy.extensions.path.match.uri_template.v3</c>): <c>*</c> stands for a segment, <c>**</c> for any number of them
/// and must be the last operator. <c>{name}</c> and <c>{name=PATTERN}</c> match as <c>*</c> and as the pattern.
/// </summary>
internal static class UriTemplate
{
    /// <summary>What matches whole paths, without their query.</summary>
    /// <exception cref="ResourceException">The text is not a template.</exception>
    public static TextMatch Match(string template)
    {
        if (!template.StartsWith('/')) throw new ResourceException($"path template '{template}': it must begin with a slash");
        var pattern = new StringBuilder();
        var isOver = false;
        Write(template, template, pattern, ref isOver, isNested: false);
        return TextMatch.Pattern(pattern.ToString());
    }

    private static void Write(string part, string template, StringBuilder pattern, ref bool isOver, bool isNested)
    {
        for (var i = 0; i < part.Length; i++)
        {
            if (part[i] is '*' or '{' && isOver) throw new ResourceException($"path template '{template}': ** must be the last operator");
            switch (part[i])
            {
                case '*' when i + 1 < part.Length && part[i + 1] == '*':
                    i++;
                    isOver = true;
                    pattern.Append(".*");
                    break;
                case '*':
                    pattern.Append("[^/]+");
                    break;
                case '{' when !isNested && part.IndexOf('}', i) is > 0 and var end:
                    var variable = part[(i + 1)..end];
                    var equals = variable.IndexOf('=', StringComparison.Ordinal);
                    Write(equals < 0 ? "*" : variable[(equals + 1)..], template, pattern, ref isOver, isNested: true);
                    i = end;
                    break;
                case '{' or '}':
                    throw new ResourceException($"path template '{template}': braces must enclose one variable");
                default:
                    pattern.Append(System.Text.RegularExpressions.Regex.Escape(part.AsSpan(i, 1).ToString()));
                    break;
            }
        }
    }
}
