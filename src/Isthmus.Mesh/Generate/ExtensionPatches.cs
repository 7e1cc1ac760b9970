using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;

namespace Isthmus.Mesh.Generate;

/// <summary>Configuration that patches of EnvoyFilters add, for the filters that discover it by its name.</summary>
public static class ExtensionPatches
{
    /// <summary>Each name once: of several patches, the last in their order counts.</summary>
    public static IEnumerable<TypedExtensionConfig> Added(ValueList<EnvoyPatch> patches)
    {
        var byName = new Dictionary<string, TypedExtensionConfig>(StringComparer.Ordinal);
        foreach (var patch in patches.Where(patch => patch.Target == PatchTarget.ExtensionConfig))
        {
            var config = (TypedExtensionConfig)WireTypes.Strict.Parse(patch.Value!.Json, TypedExtensionConfig.Descriptor);
            byName[config.Name] = config;
        }
        return byName.Values;
    }
}
