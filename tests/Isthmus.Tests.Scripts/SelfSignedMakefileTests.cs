using System.Diagnostics;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Scripts;

public class SelfSignedMakefileTests
{
    [Fact]
    public async Task Root_and_intermediate_are_what_control_planes_expect()
    {
        var directory = Directory.CreateTempSubdirectory("isthmus-certs-");
        try
        {
            // Small keys: the test checks the extensions, not the speed of OpenSSL.
            await MakeAsync(directory.FullName, "ROOTCA_KEYSZ=2048", "INTERMEDIATE_KEYSZ=2048", "root-ca", "cluster1-cacerts");
            string At(string name) => Path.Combine(directory.FullName, name);
            foreach (var name in (string[])["root-key.pem", "root-cert.csr", "root-ca.conf"]) Assert.True(File.Exists(At(name)), name);
            foreach (var key in (string[])["root-key.pem", "cluster1/ca-key.pem"])
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(At(key)));

            using var root = X509CertificateLoader.LoadCertificateFromFile(At("root-cert.pem"));
            using var ca = X509Certificate2.CreateFromPemFile(At("cluster1/ca-cert.pem"), At("cluster1/ca-key.pem"));
            Assert.Equal("CN=Root CA, O=Istio", root.Subject);
            Assert.Equal("L=cluster1, CN=Intermediate CA, O=Istio", ca.Subject);
            Assert.Equal(File.ReadAllText(At("cluster1/ca-cert.pem")) + File.ReadAllText(At("root-cert.pem")), File.ReadAllText(At("cluster1/cert-chain.pem")));
            Assert.Equal(File.ReadAllText(At("root-cert.pem")), File.ReadAllText(At("cluster1/root-cert.pem")));

            var constraints = ca.Extensions.OfType<X509BasicConstraintsExtension>().Single();
            Assert.True(constraints is { Critical: true, CertificateAuthority: true, HasPathLengthConstraint: true, PathLengthConstraint: 0 });
            Assert.Contains("istiod.istio-system.svc", ca.Extensions.OfType<X509SubjectAlternativeNameExtension>().Single().EnumerateDnsNames());
            using var chain = new X509Chain();
            chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
            chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
            chain.ChainPolicy.CustomTrustStore.Add(root);
            Assert.True(chain.Build(ca), string.Join("; ", chain.ChainStatus.Select(status => status.StatusInformation)));
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    [Theory]
    [InlineData("--network n1", 0, "topology.istio.io/network: \"n1\"")]
    [InlineData("--network n1 --mesh m --cluster c --revision r", 0, "revision: \"r\"")]
    [InlineData("--network n1 --gateway-api --revision r", 0, "istio.io/rev: \"r\"\nspec:\n  gatewayClassName: istio-east-west\n  listeners:\n  - name: cross-network\n")]
    [InlineData("--network n1 --ambient", 0, "  listeners:\n  - name: mesh\n    port: 15008\n")]
    [InlineData("--single-cluster --gateway-api", 1, "--network is missing")]
    [InlineData("--mesh m", 1, "--network is missing")]
    [InlineData("--nope", 1, "unknown argument '--nope'")]
    public async Task The_gateway_generator_prints_an_operator_or_says_what_is_wrong(string arguments, int exit, string says)
    {
        var (code, output) = await RunAsync(Path.Combine(Repository(), "samples/multicluster/gen-eastwest-gateway.sh"), Repository(), arguments.Split(' '));
        Assert.Equal(exit, code);
        Assert.Contains(says, output, StringComparison.Ordinal);
    }

    private static async Task MakeAsync(string directory, params string[] arguments)
    {
        var (code, output) = await RunAsync("make", directory, ["-f", Path.Combine(Repository(), "tools/certs/Makefile.selfsigned.mk"), .. arguments]);
        Assert.True(code == 0, output);
    }

    private static async Task<(int Code, string Output)> RunAsync(string program, string directory, string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = directory, RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        var output = await Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        return (process.ExitCode, string.Concat(output));
    }

    private static string Repository()
    {
        var directory = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(directory, "Isthmus.slnx"))) directory = Path.GetDirectoryName(directory)!;
        return directory;
    }
}
