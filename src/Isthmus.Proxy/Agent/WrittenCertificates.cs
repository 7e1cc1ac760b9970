using System.Security.Authentication;
using System.Security.Cryptography;
using Isthmus.Proxy.Tls;
using Microsoft.Extensions.Logging;

namespace Isthmus.Proxy.Agent;

/// <summary>Keeps the certificate of the workload, its key and the roots of the mesh in files of a directory, for containers of the Pod that open mesh TLS
/// themselves (a Prometheus that scrapes ports behind it, for example). The variable and the names of the files are Istio's: OUTPUT_CERTS.</summary>
/// <remarks>As in Istio, everyone in the Pod may read the files: other containers run as other users. Only Pods that mount the directory have it.</remarks>
internal sealed partial class WrittenCertificates(string directory, ISecretSource secrets, ILogger log)
{
    private const string Certificate = "default", Roots = TlsSettings.MeshRoots;
    private const string ChainFile = "cert-chain.pem", KeyFile = "key.pem", RootFile = "root-cert.pem";
    private const UnixFileMode ForThePod = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    private readonly Lock _turn = new();
    private string _complaint = "";

    /// <summary>Writes what there is, and what comes.</summary>
    public void Follow()
    {
        secrets.Changed += Changed;
        Changed(Certificate);
        Changed(Roots);
    }

    private void Changed(string name)
    {
        if (name is not (Certificate or Roots)) return;
        lock (_turn)
        {
            try
            {
                if (name == Certificate && secrets.FindCertificate(name) is { } certificate) Write(certificate);
                else if (name == Roots && secrets.FindRoots(name) is { } roots) Put(RootFile, roots.Pem);
                _complaint = "";
            }
            // Calls of the proxy itself do not need the files.
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException or AuthenticationException)
            {
                if (_complaint != e.Message) NotWritten(log, directory, _complaint = e.Message);
            }
        }
    }

    /// <summary>The key comes first, so that whoever waits for a new chain finds its key.</summary>
    private void Write(CertificateSecret certificate)
    {
        var key = certificate.ExportKey();
        try { Put(KeyFile, PemEncoding.WriteString("PRIVATE KEY", key) + "\n"); }
        finally { CryptographicOperations.ZeroMemory(key); }
        Put(ChainFile, certificate.ChainPem);
    }

    /// <summary>A reader never sees half a file, nor one that has not changed as a new one.</summary>
    private void Put(string file, string text)
    {
        var path = Path.Combine(directory, file);
        if (File.Exists(path) && File.ReadAllText(path) == text) return;
        Directory.CreateDirectory(directory);
        var draft = path + ".new";
        File.Delete(draft);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = ForThePod;
        using (var writer = new StreamWriter(draft, options)) writer.Write(text);
        // The mask of the process may have taken rights away.
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(draft, ForThePod);
        File.Move(draft, path, overwrite: true);
    }

    [LoggerMessage(Level = LogLevel.Error,
        Message = "OUTPUT_CERTS: certificates cannot be written to {Directory}: {Reason} (mount a volume there that the proxy may write)")]
    private static partial void NotWritten(ILogger log, string directory, string reason);
}
