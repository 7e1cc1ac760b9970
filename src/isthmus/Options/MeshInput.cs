using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.MeshFile;
using Isthmus.Output;

namespace Isthmus.Options;

/// <summary>Reads mesh files and connects to the clusters that they name.</summary>
internal static class MeshInput
{
    internal static MeshSpec Read(string file)
    {
        var text = file == "-" ? Terminal.Input.ReadToEnd() : InputFile.Read($"-f {file}", file);
        var mesh = MeshReader.Read(text, file == "-" ? MeshSpec.StandardInput : file, file == "-" ? "" : Path.GetDirectoryName(file) ?? "");
        foreach (var warning in new MeshDesign(mesh).Warnings) Console.Error.WriteLine($"Warning: {warning}");
        return mesh;
    }

    internal static Task<MeshLinks> OpenAsync(MeshSpec mesh, string? kubeconfig, CancellationToken stop) => MeshLinks.OpenAsync(mesh,
        context => KubeConfig.Load(kubeconfig, context, Environment.GetEnvironmentVariable),
        KubeConfig.Contexts(kubeconfig, Environment.GetEnvironmentVariable), stop);
}
