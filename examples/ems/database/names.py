# ruff: noqa: SIM905 - words in running lines are easier to read and to extend than quoted ones
"""The words from which the generator makes up its people, horses and lessons."""

FIRST_NAMES = (
    "Adèle Agathe Alban Alice Ambre Anaïs Antoine Apolline Arthur Augustin Baptiste Bérénice Camille Capucine "
    "Céleste Charlotte Chloé Clara Clément Clémence Côme Constance Diane Édouard Élise Eliott Emma Enzo Estelle "
    "Eugénie Fanny Félix Flore Gabin Gaspard Hélène Héloïse Hugo Inès Iris Jade Jeanne Joséphine Jules Juliette "
    "Léa Léonie Léopold Lila Lina Louis Louise Lucas Lucie Madeleine Maël Maëlys Manon Margaux Marin Mathilde "
    "Maxence Mila Nathan Nina Noé Nour Océane Octave Olivia Paul Pauline Philippine Rachid Raphaël Romane Rose "
    "Sacha Salomé Samuel Sarah Simon Soline Suzanne Théo Thaïs Tom Valentine Victor Victoire Violette Yanis Zoé"
).split()

LAST_NAMES = (
    "Aubert Bailly Barbier Baron Benali Berger Bertin Besson Blanchard Bonnet Boucher Bourgeois Brun Caron "
    "Carpentier Charpentier Chevalier Colin Collet Da-Silva David Delmas Denis Deschamps Diallo Dubois Dufour "
    "Dumas Dupuis Durand Fabre Faure Fernandez Fleury Fontaine Fournier Gaillard Garnier Gauthier Gérard Girard "
    "Guérin Guillot Haddad Hamon Hubert Jacquet Joly Klein Lacroix Lambert Laurent Le-Gall Leblanc Leclerc Lefort "
    "Lemaire Leroux Lopez Lucas Maillard Marchand Maréchal Martel Masson Mercier Meunier Meyer Millet Morel Morin "
    "Moulin Nguyen Noël Olivier Paris Pasquier Perret Perrin Picard Poirier Prévost Renard Renaud Rivière Robin "
    "Roche Roussel Royer Sanchez Schmitt Simon Tessier Traoré Vasseur Vidal Vincent Weber"
).split()

HORSE_NAMES = (
    "Abricot Albâtre Ambroise Arlequin Aubépine Azalée Bandit Belle-Étoile Bergamote Biscotte Bohème Brindille "
    "Câline Cannelle Caramel Cassis Chardon Cigale Cobalt Coquelicot Cyclone Daim Domino Éclair Écume Embrun Épice "
    "Étincelle Farandole Flamme Flocon Framboise Fripon Galopin Genêt Givre Gribouille Hardi Hibou Hirondelle "
    "Indigo Iroise Ivoire Jasmin Jonquille Karma Kiwi Lavande Lichen Loustic Lutin Mistral Mousse Myrtille "
    "Nacre Neige Noisette Nuage Obélisque Olympe Onyx Opale Orage Ouragan Pacha Papillon Perle Pistache Pollux "
    "Praline Quartz Quenotte Quetsche Réglisse Rocaille Romarin Rubis Safran Sirocco Soleil Sucre Tango Tempête "
    "Tonnerre Topaze Ulysse Utopie Vadrouille Vanille Velours Volcan Wasabi Xérès Yéti Zéphyr Zingaro"
).split()

BREEDS = (  # breed, its usual height at the withers in cm
    ("Selle français", 168),
    ("Anglo-arabe", 163),
    ("Trotteur français", 162),
    ("Pur-sang arabe", 152),
    ("Lusitanien", 160),
    ("Haflinger", 145),
    ("Connemara", 146),
    ("Camargue", 142),
    ("Poney français de selle", 138),
    ("New Forest", 140),
    ("Welsh", 128),
    ("Shetland", 102),
    ("Origine constatée", 155),
)

COATS = ("bai", "bai brun", "alezan", "gris", "noir", "isabelle", "pie", "palomino", "rouan")

LESSONS = (  # discipline, title, usual price in cents, lowest galop of the riders
    ("pony", "Baby-poney", 1800, 0),
    ("pony", "Poney découverte", 2000, 0),
    ("dressage", "Dressage débutants", 2600, 1),
    ("dressage", "Dressage confirmés", 3200, 4),
    ("jumping", "Saut d'obstacles, initiation", 2900, 2),
    ("jumping", "Saut d'obstacles, perfectionnement", 3500, 5),
    ("cross", "Cross", 3800, 4),
    ("hacking", "Balade en forêt", 3000, 1),
    ("vaulting", "Voltige", 2400, 0),
)

ARENAS = ("Grand manège", "Petit manège", "Carrière olympique", "Carrière du bas", "Rond de longe")
