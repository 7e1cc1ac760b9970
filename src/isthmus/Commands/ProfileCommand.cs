using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Install.Operator;

namespace Isthmus.Commands;

internal static class ProfileCommand
{
    internal static Command Build()
    {
        var list = new Command("list", "List the built-in profiles.");
        list.SetAction(_ =>
        {
            Console.WriteLine("Isthmus configuration profiles:");
            foreach (var profile in Profiles.Names) Console.WriteLine($"    {profile}");
            return 0;
        });
        var name = new Argument<string>("profile") { DefaultValueFactory = _ => "default", Description = "Name of the profile" };
        var dump = new Command("dump", "Print a profile as an IstioOperator.") { name };
        dump.SetAction(line =>
        {
            Console.Write(YamlText.Print(new JsonObject
            {
                ["apiVersion"] = "install.istio.io/v1alpha1", ["kind"] = "IstioOperator", ["spec"] = Profiles.Load(line.GetValue(name)!),
            }));
            return 0;
        });
        return new Command("profile", "Show installation profiles.") { list, dump };
    }
}
