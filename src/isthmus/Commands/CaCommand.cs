using System.CommandLine;
using Isthmus.Core.Flags;
using Isthmus.Operate.Certificates;
using Isthmus.Options;
using Isthmus.Wire.Tls;

namespace Isthmus.Commands;

internal static class CaCommand
{
    internal static Command Build()
    {
        var root = new Command("root", "Create the root CA of a mesh: root-key.pem and root-cert.pem.");
        var rootOptions = new Options(root);
        root.SetAction(line =>
        {
            rootOptions.Files(line).MakeRoot(rootOptions.Request(line));
            Console.WriteLine(
                $"Created {Path.Combine(rootOptions.Folder(line), CaFiles.RootCert)}. Keep {CaFiles.RootKey} offline. To create an intermediate CA for each "
                    + $"cluster: isthmus ca intermediate NAME");
            return 0;
        });
        var names = new Argument<string[]>("cluster") { Description = "Names of the clusters", Arity = ArgumentArity.OneOrMore };
        var intermediate = new Command("intermediate",
            "Create an intermediate CA for each cluster, signed by the root: the four files of the cacerts Secret.") { names };
        var options = new Options(intermediate);
        intermediate.SetAction(line =>
        {
            var ns = line.GetValue(GlobalOptions.IstioNamespace)!;
            foreach (var name in line.GetValue(names)!)
            {
                options.Files(line).MakeIntermediate(name, options.Request(line), ns);
                var folder = Path.Combine(options.Folder(line), name);
                Console.WriteLine(
                    $"Created {folder}. To install it in the cluster:\n  kubectl --context={name} create secret generic cacerts -n {ns} "
                        + $"{string.Join(" ", CaFiles.ClusterFiles.Select(file => $"--from-file={Path.Combine(folder, file)}"))}");
            }
            return 0;
        });
        return new Command("ca", "Create the certificate authorities of a mesh, and replace its root.") { root, intermediate, CaRotateCommand.Build() };
    }

    private sealed class Options
    {
        private readonly Option<string> _folder = new("--dir") { Description = "Directory of the certificate files", DefaultValueFactory = _ => "." };
        private readonly Option<string> _key = new("--key-type")
        {
            Description = "Key type: ec-p256, ec-p384, rsa-2048 or rsa-4096", DefaultValueFactory = _ => "ec-p256"
        };
        private readonly Option<int> _days = new("--days") { Description = "Validity in days", DefaultValueFactory = _ => 3650 };

        internal Options(Command command)
        {
            foreach (var option in (Option[])[_folder, _key, _days]) command.Options.Add(option);
        }

        internal string Folder(ParseResult line) => line.GetValue(_folder)!;

        internal CaFiles Files(ParseResult line) => new(Folder(line), TimeProvider.System);

        internal CaRequest Request(ParseResult line)
        {
            var key = line.GetValue(_key) switch
            {
                "ec-p256" => KeyKind.EcP256,
                "ec-p384" => KeyKind.EcP384,
                "rsa-2048" => KeyKind.Rsa2048,
                "rsa-4096" => KeyKind.Rsa4096,
                { } other => throw new WrongUseException("--key-type", $"'{other}' is not a key type", "use ec-p256, ec-p384, rsa-2048 or rsa-4096"),
                null => KeyKind.EcP256,
            };
            var days = line.GetValue(_days);
            return days is >= 1 and <= 36500
                ? new(key, days)
                : throw new WrongUseException("--days", $"{days} is not between 1 and 36500", "specify the validity in days");
        }
    }
}
