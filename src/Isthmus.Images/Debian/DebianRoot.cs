using System.Formats.Tar;
using System.Text;
using Isthmus.Images.Oci;
using Isthmus.Images.Tools;

namespace Isthmus.Images.Debian;

/// <summary>A package in an image.</summary>
/// <param name="Control">All fields of its description.</param>
public sealed record InstalledPackage(string Name, string Version, string Architecture, string Control);

/// <summary>Unpacks Debian packages into a layer: only what programs need when they run. No script of a package runs.</summary>
internal static class DebianRoot
{
    private const string Remedy = "install the package dpkg";
    private const string Authorities = "usr/share/ca-certificates/";

    private static readonly string[] Left = ["usr/share/man/", "usr/share/locale/", "usr/share/info/", "usr/share/lintian/", "usr/share/bash-completion/",
        "usr/share/gdb/", "usr/lib/systemd/", "etc/init.d/"];

    internal static async Task<IReadOnlyList<InstalledPackage>> UnpackAsync(IReadOnlyList<string> files, LayerTree tree, CancellationToken stop)
    {
        // Packages have files in /bin and /lib, which are links in a system with a merged /usr.
        foreach (var name in new[] { "bin", "lib", "sbin" }) tree.AddLink(name, $"usr/{name}");
        var certificates = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
        var packages = new List<InstalledPackage>();
        foreach (var file in files)
        {
            await Tool.RunAsync("dpkg-deb", ["--fsys-tarfile", file], null, Remedy, async output =>
            {
                await AddAsync(output, tree, certificates, stop);
                return 0;
            }, stop);
            var package = Describe(await Tool.RunAsync("dpkg-deb", ["--field", file], null, Remedy, stop));
            packages.Add(package);
            // Scanners find the packages of images without dpkg here.
            tree.AddText($"var/lib/dpkg/status.d/{package.Name}", package.Control);
        }
        if (tree.Entries.ContainsKey("usr/lib64")) tree.AddLink("lib64", "usr/lib64");
        if (certificates.Count > 0) AddCertificates(tree, certificates);
        return packages;
    }

    private static async Task AddAsync(Stream output, LayerTree tree, SortedDictionary<string, byte[]> certificates, CancellationToken stop)
    {
        using var tar = new TarReader(output);
        while (await tar.GetNextEntryAsync(copyData: true, stop) is { } entry)
        {
            var path = Merged(entry.Name);
            if (path.Length == 0 || !IsNeeded(path)) continue;
            switch (entry.EntryType)
            {
                case TarEntryType.SymbolicLink:
                    tree.AddLink(path, entry.LinkName);
                    break;
                // The directories of files exist anyway.
                case TarEntryType.RegularFile or TarEntryType.V7RegularFile:
                    var content = new MemoryStream();
                    if (entry.DataStream is { } data) await data.CopyToAsync(content, stop);
                    if (path.StartsWith(Authorities, StringComparison.Ordinal)) certificates[path] = content.ToArray();
                    else tree.AddBytes(path, content.ToArray(), entry.Mode & (UnixFileMode)0b111_111_111);
                    break;
            }
        }
        await output.CopyToAsync(Stream.Null, stop);
    }

    private static string Merged(string name)
    {
        var path = name.TrimStart('.').Trim('/');
        return path.Split('/')[0] is "bin" or "lib" or "lib64" or "sbin" && path.Contains('/', StringComparison.Ordinal) ? $"usr/{path}" : path;
    }

    private static bool IsNeeded(string path)
    {
        // Licences stay with the files that they are for.
        if (path.StartsWith("usr/share/doc/", StringComparison.Ordinal)) return path.EndsWith("/copyright", StringComparison.Ordinal);
        return !Left.Any(left => path.StartsWith(left, StringComparison.Ordinal)) && !path.Contains("/gconv/", StringComparison.Ordinal)
            && !path.Contains("/audit/", StringComparison.Ordinal);
    }

    /// <summary>The bundle that update-ca-certificates would create, where OpenSSL looks for it.</summary>
    private static void AddCertificates(LayerTree tree, SortedDictionary<string, byte[]> certificates)
    {
        var bundle = new StringBuilder();
        foreach (var certificate in certificates.Values) bundle.Append(Encoding.ASCII.GetString(certificate).TrimEnd('\n')).Append('\n');
        tree.AddText("etc/ssl/certs/ca-certificates.crt", bundle.ToString());
        tree.AddLink("usr/lib/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt");
        tree.AddLink("usr/lib/ssl/certs", "/etc/ssl/certs");
    }

    private static InstalledPackage Describe(string control)
    {
        string Field(string name) =>
            control.Split('\n').FirstOrDefault(line => line.StartsWith(name + ": ", StringComparison.Ordinal))?[(name.Length + 2)..].Trim() ?? "";
        return new(Field("Package"), Field("Version"), Field("Architecture"), control);
    }
}
