using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.MeshFile;

namespace Isthmus.Commands;

/// <summary>Reads mesh files and finds the clusters that they name.</summary>
internal static class MeshInput
{
    internal static MeshSpec Read(string file)
    {
        try
        {
            var text = file == "-" ? Console.In.ReadToEnd() : File.ReadAllText(file);
            return MeshReader.Read(text, file == "-" ? "standard input" : file, file == "-" ? "" : Path.GetDirectoryName(file) ?? "");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw UnreadableFile.Problem($"-f {file}", file, e);
        }
    }

    internal static Task<MeshLinks> OpenAsync(MeshSpec mesh, string? kubeconfig, CancellationToken stop) => MeshLinks.OpenAsync(mesh,
        context => KubeConfig.Load(kubeconfig, context, Environment.GetEnvironmentVariable), KubeConfig.Contexts(kubeconfig, Environment.GetEnvironmentVariable), stop);
}
