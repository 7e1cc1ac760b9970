using Isthmus.Tests.Mesh.Meshes;


namespace Isthmus.Tests.Mesh.GatewayApi;

/// <summary>The mesh of the quickstart with what cases of the Gateway API need. Its backends are in the first cluster until a case wants them in the
/// other one.</summary>
public sealed class GatewayLabRig : MeshRig
{
    private GatewayLab? _lab;

    internal async Task RunAsync(string name, bool isElsewhere)
    {
        _lab ??= await GatewayLab.CreateAsync(this, isQuick: false);
        await _lab.MoveAsync(isElsewhere);
        await _lab.RunAsync(LabCase.All.Single(one => one.Name == name));
    }
}
