using System.Text.Json;
using System.Text.Json.Nodes;

namespace Isthmus.Proxy.EnvoyPlane;

/// <summary>Merges what EnvoyFilters say into a bootstrap, as messages merge: lists grow, and typed configuration is replaced as a whole. Pure.</summary>
internal static class BootstrapMerge
{
    public static void Into(JsonObject target, JsonObject patch)
    {
        foreach (var (given, value) in patch)
        {
            var name = NameIn(target, given);
            switch (target[name], value)
            {
                case (JsonObject known, JsonObject more) when !more.ContainsKey("@type"):
                    Into(known, more);
                    break;
                case (JsonArray known, JsonArray more):
                    foreach (var item in more) known.Add(item?.DeepClone());
                    break;
                default:
                    target[name] = value?.DeepClone();
                    break;
            }
        }
    }

    /// <summary>Envoy takes two spellings of a field, but not both at once.</summary>
    private static string NameIn(JsonObject target, string given) =>
        !target.ContainsKey(given) && JsonNamingPolicy.SnakeCaseLower.ConvertName(given) is var name && target.ContainsKey(name) ? name : given;
}
