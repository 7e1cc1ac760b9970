using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Discovery;

namespace Isthmus.Mesh.Generate;

/// <summary>What EnvoyFilters merge into the bootstrap of an Envoy: its agent asks for it before it starts Envoy.</summary>
public static class BootstrapPatches
{
    /// <summary>The name of the resource.</summary>
    public const string Name = "bootstrap";

    /// <summary>One without values says that there are none.</summary>
    public static BootstrapPatch Of(ValueList<EnvoyPatch> patches) =>
        new() { Values = { patches.Where(patch => patch.Target == PatchTarget.Bootstrap).Select(patch => patch.Value!.Json) } };
}
