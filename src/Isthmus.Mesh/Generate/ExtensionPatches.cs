using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;

namespace Isthmus.Mesh.Generate;

/// <summary>Configuration that patches of EnvoyFilters add, for the filters that discover it by its name.</summary>
public static class ExtensionPatches
{
    /// <summary>Each name once: of several patches, the last in their order counts.</summary>
    public static IReadOnlyCollection<TypedExtensionConfig> Added(ValueList<EnvoyPatch> patches)
    {
        // Few proxies have any, and each of them is asked.
        Dictionary<string, TypedExtensionConfig>? byName = null;
        foreach (var patch in patches)
        {
            if (patch.Target != PatchTarget.ExtensionConfig) continue;
            var config = (TypedExtensionConfig)WireTypes.Strict.Parse(patch.Value!.Json, TypedExtensionConfig.Descriptor);
            (byName ??= new(StringComparer.Ordinal))[config.Name] = config;
        }
        return byName is null ? [] : byName.Values;
    }
}
