using System.Text.Json.Nodes;
using Isthmus.WebConsole.Serving;

namespace Isthmus.WebConsole.Answers;

/// <summary>The calls of the page, by name.</summary>
internal static class PageAnswers
{
    public static IReadOnlyDictionary<string, Answer> All(Action readNow) => new Dictionary<string, Answer>(StringComparer.Ordinal)
    {
        ["refresh"] = (_, _) =>
        {
            readNow();
            return Task.FromResult<JsonNode>(new JsonObject());
        },
    };
}
