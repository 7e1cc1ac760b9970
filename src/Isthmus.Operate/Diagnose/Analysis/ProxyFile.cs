using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>A file that the proxy of a Pod is to read.</summary>
/// <param name="Path">Its path in the container of the proxy.</param>
/// <param name="Volume">The volume that it is in; null: none is mounted there, and only the image can have the file.</param>
/// <param name="Inner">Its path in the volume.</param>
public sealed record ProxyFile(string Path, Volume? Volume, string Inner)
{
    public static ProxyFile In(PodSpec spec, string path)
    {
        var mount = Workload.ProxyOf(spec)?.VolumeMounts.Where(one => path == one.MountPath || path.StartsWith(Below(one), StringComparison.Ordinal))
            .MaxBy(one => one.MountPath.Length);
        if (mount is null) return new(path, null, "");
        var inner = path == mount.MountPath ? "" : path[Below(mount).Length..];
        return new(path, spec.Volumes.Find(volume => volume.Name == mount.Name),
            string.Join('/', new[] { mount.SubPath, inner }.Where(part => part.Length > 0)));
    }

    /// <summary>How the gateway gets a certificate, where no volume has the file.</summary>
    /// <param name="ns">The namespace of the Pod.</param>
    public string Remedy(string ns) => "write credentialName with a Secret of namespace "
        + $"{ns} instead of the files, or mount a volume with the file at {Path[..Math.Max(Path.LastIndexOf('/'), 1)]} in container istio-proxy of the gateway";

    private static string Below(VolumeMount mount) => mount.MountPath.TrimEnd('/') + "/";
}
